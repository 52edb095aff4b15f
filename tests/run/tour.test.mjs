/** The tour, run as a person runs it: by `npm start`, as JSON, in plain lines, and with arguments that are wrong. */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { stripVTControlCharacters } from 'node:util'
import { ROOT } from './exec.mjs'

const DATA = join(ROOT, 'www', 'tour', 'data', 'mime-db-history.ndjson')
const COMPACT_TO_REVISION = 18
const COLUMNS = 80

const folder = mkdtempSync(join(tmpdir(), 'palimpsest-tour-test-'))
after(() => rmSync(folder, { recursive: true, force: true }))

/** Runs `npm start` as from a shell: what this run's npm has put into the environment is taken out. */
function start(...args) {
  const own = Object.entries(process.env).filter(([name]) => !name.startsWith('npm_'))
  const { status, stdout, stderr } = spawnSync('npm', ['start', '--', ...args], {
    cwd: ROOT,
    encoding: 'utf8',
    env: Object.fromEntries(own),
  })
  return { status, stdout, stderr }
}

/** Compaction's rules, as said in the documentation and applied to each key's list of changes. */
function recordsToRemove() {
  const changes = new Map()
  const lines = readFileSync(DATA, 'utf8').trimEnd().split('\n')
  for (const [at, line] of lines.entries()) {
    const release = JSON.parse(line)
    const add = (key, isDelete) =>
      changes.set(key, [...(changes.get(key) ?? []), { revision: at + 2, isDelete }])
    for (const key of Object.keys(release.put)) add(key, false)
    for (const key of release.delete) add(key, true)
  }
  let removed = 0
  for (const history of changes.values()) {
    const past = history.filter(({ revision }) => revision <= COMPACT_TO_REVISION)
    const newest = past.at(-1)
    const isNewestKept = newest && !(newest.isDelete && newest.revision < COMPACT_TO_REVISION)
    removed += past.length - (isNewestKept ? 1 : 0)
  }
  return removed
}

test('as JSON the tour prints one object with the known facts and nothing else', () => {
  const file = join(folder, 'json.plm')
  const { status, stdout, stderr } = start('--json', '--file', file)
  assert.equal(status, 0, stderr)
  const { pagesFreed, fileBytesBefore, fileBytesAfter, longestStepMs, longestReadMs, ...facts } =
    JSON.parse(stdout)
  assert.deepEqual(facts, {
    releases: 19,
    puts: 3436,
    deletes: 64,
    liveKeys: 2522,
    releasesVerified: 19,
    compactedRevision: COMPACT_TO_REVISION,
    recordsRemoved: recordsToRemove(),
    reopenedOk: true,
  })
  assert.ok(Number.isInteger(pagesFreed) && pagesFreed > 0, `${pagesFreed} pages freed`)
  assert.equal(fileBytesAfter, fileBytesBefore, 'new writes took freed pages')
  assert.equal(statSync(file).size, fileBytesAfter, 'the file is as large as was said')
  for (const time of [longestStepMs, longestReadMs]) assert.ok(time > 0 && time < 60_000, `${time} ms`)
})

test('piped, the tour is plain lines that fit a terminal', () => {
  const { status, stdout, stderr } = start()
  assert.equal(status, 0, stderr)
  const lines = stdout.split('\n')
  assert.deepEqual(
    lines.filter(line => line.length > COLUMNS),
    [],
  )
  assert.equal(stripVTControlCharacters(stdout).replaceAll('\r', ''), stdout, 'no control characters')
  for (const said of ['3,436 puts', 'All 19 releases', '904 records', 'COMPACTED']) {
    assert.ok(stdout.includes(said), `it says ${said}`)
  }
})

test('asked for, it serves the inspector until it is ended', async () => {
  const script = join(ROOT, 'www', 'tour', 'main.mjs')
  const child = spawn(process.execPath, [script, '--serve'], { stdio: ['ignore', 'pipe', 'inherit'] })
  let said = ''
  for await (const text of child.stdout.setEncoding('utf8')) {
    said += text
    if (/http:\S+/.test(said)) break
  }
  const [address] = /http:\S+/.exec(said) ?? assert.fail(said)
  assert.match(await (await fetch(address)).text(), /<title>Palimpsest inspector/)
  child.kill('SIGINT')
  assert.deepEqual(await once(child, 'exit'), [130, null])
})

test('a file that exists is refused and left as it is', () => {
  const file = join(folder, 'precious.txt')
  writeFileSync(file, 'precious')
  const { status, stderr } = start('--file', file)
  assert.notEqual(status, 0)
  assert.match(stderr, /exists already/)
  assert.equal(readFileSync(file, 'utf8'), 'precious')
})

test('an unknown option is refused by its name', () => {
  const { status, stderr } = start('--jsno')
  assert.notEqual(status, 0)
  assert.match(stderr, /--jsno/)
  assert.equal(existsSync(join(ROOT, '--jsno')), false)
})
