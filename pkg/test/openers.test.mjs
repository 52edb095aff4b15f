// Two processes that open one store, of Node and of the engine's own program: one has it at a time, and nothing that either wrote is lost.
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, utimesSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { open } from 'palimpsest-kv'
import { freshFolder, here, refusal } from './support/help.mjs'

/** The programs by what they are made of, each with a way to write without end. */
const programs = {
  node: {
    hammer: [process.execPath, join(here, 'support', 'hammer.mjs')],
    acknowledge: [process.execPath, join(here, 'support', 'acknowledge.mjs')],
  },
  native: {
    hammer: [process.env.PALIMPSEST_WRITER, 'hammer'],
    acknowledge: [process.env.PALIMPSEST_WRITER, 'acknowledge'],
  },
}

function begin([program, ...args], ...more) {
  const child = spawn(program, [...args, ...more.map(String)], { stdio: ['pipe', 'pipe', 'inherit'] })
  child.stdin.on('error', () => {})
  child.text = ''
  child.stdout.setEncoding('utf8').on('data', text => (child.text += text))
  return child
}

/** What a program that hammers has said: keys by revision, and who had the store. */
async function said(child) {
  const [code] = await once(child, 'close')
  assert.equal(code, 0)
  const lines = child.text.trimEnd().split('\n')
  const isRefused = line => line.startsWith('locked: ')
  return {
    pid: child.pid,
    puts: lines.filter(line => !isRefused(line)).map(line => line.split(' ')),
    holders: lines.filter(isRefused),
  }
}

for (const kinds of [
  ['node', 'node'],
  ['native', 'node'],
]) {
  test(`${kinds.join(' and ')} exclude each other`, async t => {
    const folder = freshFolder(t)
    const file = join(folder, 'store.plm')
    const children = kinds.map(kind => begin(programs[kind].hammer, file, 1.2))
    const [one, other] = await Promise.all(children.map(said))
    t.diagnostic(
      [one, other].map(({ puts, holders }) => `${puts.length} opened, ${holders.length} locked`).join('; '),
    )
    for (const { puts } of [one, other]) assert.ok(puts.length >= 3, 'each of them had its turns')
    const names = (holders, { pid }) =>
      holders.some(line => line.includes(`process ${pid} on ${hostname()}, since 20`))
    assert.ok(names(one.holders, other) && names(other.holders, one), 'both were told who has the store')
    const puts = [...one.puts, ...other.puts]
    assert.deepEqual(
      puts.map(([revision]) => Number(revision)).sort((one, other) => one - other),
      puts.map((_, i) => i + 2),
      'each revision was made once',
    )
    const db = await open({ storage: { file } })
    for (const [revision, key] of puts)
      assert.equal((await db.getEntry(key))?.modRevision, Number(revision), key)
    assert.equal(db.revision, puts.length + 1)
    await db.check()
    await db.close()
    assert.deepEqual(readdirSync(folder), ['store.plm'])
  })
}

test('each takes over the lock of a process that was killed, and refuses one that runs', async t => {
  const file = join(freshFolder(t), 'store.plm')
  for (const kind of ['native', 'node', 'native']) {
    const writer = begin(programs[kind].acknowledge, file, 1)
    writer.stdin.write('now\n')
    while (!writer.text.includes('written')) await once(writer.stdout, 'data')
    const error = await refusal(() => open({ storage: { file } }))
    assert.equal(error.code, 'LOCKED')
    assert.ok(error.holder.startsWith(`process ${writer.pid} on ${hostname()}, since 20`), error.holder)
    const refused = await said(begin(programs.native.hammer, file, 0.01))
    assert.deepEqual(refused.puts, [])
    assert.ok(refused.holders[0].startsWith(`locked: process ${writer.pid} on `), refused.holders[0])
    writer.kill('SIGKILL')
    await once(writer, 'close')
  }
  const { puts } = await said(begin(programs.native.hammer, file, 0.1))
  assert.ok(puts.length > 0)
  const db = await open({ storage: { file } })
  await db.check()
  await db.close()
})

/** What runs a program in a pid namespace of its own, as containers do, with the host's name and files. */
const CONTAINER = ['unshare', '--pid', '--fork', '--kill-child', '--mount-proc']
const canContain = spawnSync(CONTAINER[0], [...CONTAINER.slice(1), 'true']).status === 0

/** Starts a program that writes without end, and waits until it has the store. */
async function writing(program, file) {
  const writer = begin(program, file, 1)
  writer.stdin.write('now\n')
  while (!writer.text.includes('written')) await once(writer.stdout, 'data')
  return writer
}

for (const kind of ['node', 'native']) {
  const skip = canContain ? false : 'no pid namespace can be made here'
  test(`a process of another pid namespace keeps the store: ${kind}`, { skip }, async t => {
    const file = join(freshFolder(t), 'store.plm')
    const writer = await writing([...CONTAINER, ...programs[kind].acknowledge], file)
    t.after(() => writer.kill('SIGKILL'))
    const error = await refusal(() => open({ storage: { file } }))
    assert.equal(error.code, 'LOCKED')
    assert.match(error.message, kind === 'node' ? /no sign of life for 60 seconds$/ : /remove .*\.lock$/)
    const refused = await said(begin(programs.native.hammer, file, 0.01))
    assert.deepEqual(refused.puts, [])
    writer.kill('SIGKILL')
    await once(writer, 'close')
    const longAgo = new Date(Date.now() - 120_000)
    utimesSync(`${file}.lock`, longAgo, longAgo)
    // The engine's own program sees that the system's lock is gone, Node that the heart does not beat.
    if (kind === 'native') await said(begin(programs.native.hammer, file, 0.1))
    const db = await open({ storage: { file } })
    await db.check()
    await db.close()
  })
}

test('a worker that was ended gives its store to the next one, and one that lives keeps it', async t => {
  const file = join(freshFolder(t), 'store.plm')
  const source = `
    const { parentPort, workerData } = require('node:worker_threads')
    import('palimpsest-kv').then(async ({ open }) => {
      const db = await open({ storage: { file: workerData } })
      await db.put('a', '1')
      parentPort.postMessage('written')
      // Its heart does not beat any more.
      for (;;) {}
    })`
  const worker = new Worker(source, { eval: true, workerData: file })
  t.after(() => worker.terminate())
  await once(worker, 'message')
  const longAgo = new Date(Date.now() - 120_000)
  if (process.platform === 'linux') utimesSync(`${file}.lock`, longAgo, longAgo)
  const error = await refusal(() => open({ storage: { file } }))
  assert.deepEqual(
    [error.code, error.holder],
    ['LOCKED', `worker ${worker.threadId} of this process (${process.pid})`],
  )
  await worker.terminate()
  utimesSync(`${file}.lock`, longAgo, longAgo)
  const db = await open({ storage: { file } })
  assert.equal(await db.get('a'), '1')
  await db.close()
})
