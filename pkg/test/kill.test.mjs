// A process that is killed while it writes, again and again, on one file: what it was told is durable is there.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, existsSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { open } from 'palimpsest-kv'
import { freshFolder, here } from './support/help.mjs'
import { Contents, change, random } from './support/ledger.mjs'

const SEED = Number(process.env.SEED ?? 1)
const KILLS = Number(process.env.KILLS ?? 200)
/** Writers that are loaded beforehand, because a process takes longer to begin than it may live. */
const AHEAD = 3

/** A writer that has loaded everything and waits for its turn. */
class Writer {
  #child
  #closed
  #isClosed = false
  #text = ''
  #heard = () => {}

  constructor(file, seed) {
    const script = join(here, 'support', 'acknowledge.mjs')
    this.#child = spawn(process.execPath, [script, file, String(seed)], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    this.#closed = once(this.#child, 'close').finally(() => {
      this.#isClosed = true
      this.#heard()
    })
    this.#child.stdin.on('error', () => {})
    this.#child.stdout.setEncoding('utf8').on('data', text => {
      this.#text += text
      this.#heard()
    })
  }

  /** Whole lines of it so far. */
  get lines() {
    return this.#text.split('\n').slice(0, -1)
  }

  /** Fulfilled when it has said so many lines. */
  async said(lines) {
    while (this.lines.length < lines) {
      assert.ok(!this.#isClosed, 'the writer came to an end of its own')
      await new Promise(resolve => (this.#heard = resolve))
    }
  }

  begin() {
    this.#child.stdin.write('now\n')
  }

  async kill() {
    this.#child.kill('SIGKILL')
    const [, signal] = await this.#closed
    assert.equal(signal, 'SIGKILL', 'the writer came to an end of its own')
  }
}

/** Lets a writer write for a while and kills it: while it opens the store, or some milliseconds after its first word. */
async function killed(writer, below) {
  await writer.said(1)
  writer.begin()
  if (below(4) !== 0) await writer.said(2)
  await pause(below(40))
  await writer.kill()
  const said = word =>
    writer.lines.filter(line => line.startsWith(word)).map(line => Number(line.slice(word.length + 1)))
  return { written: said('written'), compacted: said('compacted') }
}

/** Looks at a copy, so that the next writer has to recover what was recovered before. */
async function check(file, { written, compacted }, contents) {
  const copy = `${file}.copy`
  copyFileSync(file, copy)
  const db = await open({ storage: { file: copy } })
  assert.ok(
    db.revision >= Math.max(1, ...written),
    `${db.revision} is there, ${written.at(-1)} was acknowledged`,
  )
  const oldest = (await db.status()).compacted ?? 0
  assert.ok(
    oldest >= Math.max(0, ...compacted),
    `compacted to ${oldest}, ${compacted.at(-1)} was acknowledged`,
  )
  for (const revision of written.filter(revision => revision >= oldest)) {
    for (const [key, value] of change(revision))
      assert.equal(db.getSync(key, { revision }), value, `${revision}`)
  }
  contents.advance(db.revision)
  assert.deepEqual(
    [...db.rangeSync()].map(({ key, value }) => [key, value]),
    contents.entries(),
  )
  await db.check()
  await db.close()
}

test(`what was acknowledged survives ${KILLS} kills (SEED=${SEED})`, async t => {
  const file = join(freshFolder(t), 'store.plm')
  const below = random(SEED)
  const waiting = []
  t.after(() => Promise.all(waiting.map(writer => writer.kill())))
  const contents = new Contents()
  let acknowledged = 0
  let compactions = 0
  for (let kill = 0; kill < KILLS; kill += 1) {
    while (waiting.length < AHEAD) waiting.push(new Writer(file, below(2 ** 31)))
    const said = await killed(waiting.shift(), below)
    acknowledged += said.written.length
    compactions += said.compacted.length
    // The first writers may be killed before there is a file.
    if (existsSync(file)) await check(file, said, contents)
    else assert.deepEqual(said, { written: [], compacted: [] })
  }
  t.diagnostic(`${acknowledged} writes acknowledged, ${compactions} compactions`)
  assert.ok(acknowledged > KILLS / 2 && compactions > 0, 'the writers got to do something')
})
