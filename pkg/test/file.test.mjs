// Stores in files: creation, locks, damage, and the end of a program.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  statSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { open } from 'palimpsest-kv'
import { contents, freshFolder, inProcess, refusal } from './support/help.mjs'

/** A closed store with some history, and its path. */
async function stored(t, options = {}) {
  const file = join(freshFolder(t), 'store.plm')
  const db = await open({ storage: { file }, durability: 'relaxed', ...options })
  for (let i = 0; i < 300; i += 1) await db.put(`k${i % 100}`, `v${i}`.repeat(20))
  await db.close()
  return file
}

test('a store is created, closed, and opened again', async t => {
  const folder = freshFolder(t)
  const file = join(folder, 'store.plm')
  const db = await open({ storage: { file } })
  assert.deepEqual(db.storage, { kind: 'file', persistent: true, path: file })
  assert.deepEqual(readdirSync(folder).sort(), ['store.plm', 'store.plm.lock'])
  await db.put('a', '1')
  const first = db.revision
  await db.put('a', '2')
  await db.close()
  assert.deepEqual(readdirSync(folder), ['store.plm'])
  const again = await open({ storage: { file: pathToFileURL(file) } })
  assert.deepEqual(
    [again.revision, await again.get('a'), await again.get('a', { revision: first })],
    [3, '2', '1'],
  )
  await again.check()
  await again.close()
})

test('a store has the page size it was created with', async t => {
  const file = await stored(t, { pageBytes: 1024 })
  const db = await open({ storage: { file }, pageBytes: 8192 })
  assert.equal((await db.status()).pageBytes, 1024)
  assert.equal(await db.get('k99'), 'v299'.repeat(20))
  await db.close()
})

test('a second opener is told who has the store, by whatever name it opens it', async t => {
  const folder = freshFolder(t)
  const file = join(folder, 'store.plm')
  const link = join(folder, 'link.plm')
  const db = await open({ storage: { file } })
  symlinkSync(file, link)
  for (const name of [file, link, pathToFileURL(file), join(folder, '.', 'x', '..', 'store.plm')]) {
    const error = await refusal(() => open({ storage: { file: name } }))
    assert.equal(error.code, 'LOCKED')
    assert.match(error.holder, new RegExp(`this process \\(${process.pid}\\)`))
    assert.equal(error.path, file)
  }
  const other = await inProcess(OPEN, { args: [file] })
  assert.match(other.stdout, new RegExp(`^LOCKED .*process ${process.pid} on ${hostname()}, since 20`))
  await db.put('still', 'works')
  await db.close()
  assert.match((await inProcess(OPEN, { args: [file] })).stdout, /^opened at 2/)
})

/** Opens the store, says what came of it, and closes it. */
const OPEN = `
  import { open } from 'palimpsest-kv'
  try {
    const db = await open({ storage: { file: process.argv[1] } })
    console.log('opened at', db.revision)
    await db.close()
  } catch (error) {
    console.log(error.code, error.message)
  }`

test('only one of many processes gets a store', async t => {
  const file = await stored(t)
  const source = `
    import { open } from 'palimpsest-kv'
    try {
      await open({ storage: { file: process.argv[1] } })
      console.log('opened')
      setTimeout(() => {}, 3000)
    } catch (error) {
      console.log(error.code)
    }`
  // A lock of a process that is gone: all of them find it stale at the same time.
  writeFileSync(`${file}.lock`, lockText({ pid: await deadProcess() }))
  const ends = await Promise.all(Array.from({ length: 4 }, () => inProcess(source, { args: [file] })))
  assert.deepEqual(ends.map(end => end.stdout.trim()).sort(), ['LOCKED', 'LOCKED', 'LOCKED', 'opened'])
})

async function deadProcess() {
  return Number((await inProcess('console.log(process.pid)')).stdout)
}

/** A process that has ended and whose parent does not take note of it. */
async function forgottenProcess(t) {
  // It ends only when the shell, which would take note, has become something that does not.
  const parent = spawn('sh', ['-c', 'sleep 0.3 & echo $!; exec sleep 60'])
  t.after(() => parent.kill())
  const [pid] = await once(parent.stdout.setEncoding('utf8'), 'data')
  const isGone = () => !existsSync('/proc') || /\) Z /.test(readFileSync(`/proc/${Number(pid)}/stat`, 'utf8'))
  for (let i = 0; i < 400 && !isGone(); i += 1) await new Promise(resolve => setTimeout(resolve, 5))
  return Number(pid)
}

function lockText(holder) {
  return JSON.stringify({
    pid: process.pid,
    host: hostname(),
    since: new Date().toISOString(),
    start: null,
    ...holder,
  })
}

/** This kernel's boot and this pid namespace, as far as the system tells them. */
function ownPlace() {
  if (process.platform !== 'linux') return {}
  const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  return { boot, space: readlinkSync('/proc/self/ns/pid') }
}

test('a lock is stale or not', async t => {
  const file = await stored(t)
  const [old, ahead] = [-120_000, 120_000].map(millis => new Date(Date.now() + millis))
  const isLinux = process.platform === 'linux'
  const { boot, space } = ownPlace()
  const pid = await deadProcess()
  const elsewhere = { pid, host: 'elsewhere' }
  const [otherSpace, otherBoot] = [
    { pid, space: 'pid:[1]' },
    { pid, start: 'another boot:1' },
  ]
  const native = { heartbeat: false }
  const worker = { worker: 1 }
  const cases = [
    ['a dead process', { pid }, undefined, true],
    ['a dead process of this namespace', { pid, space }, undefined, true],
    ['a process that nobody has waited for', { pid: await forgottenProcess(t) }, undefined, isLinux],
    ['a number that another process has now', { start: `${boot}:1` }, undefined, isLinux],
    ['a process that runs', {}, undefined, false],
    ['a process that runs, an old lock', {}, old, false],
    ['a process that runs, a time ahead', {}, ahead, false],
    ['a dead process, a time ahead', { pid }, ahead, true],
    ['another host, a fresh sign of life', elsewhere, undefined, false],
    ['another host, no sign of life', elsewhere, old, true],
    ['another host, a time ahead', elsewhere, ahead, false, /lies ahead of this clock.*remove .*lock$/],
    ['another host, which gives no sign of life', { ...elsewhere, ...native }, old, false, /remove .*lock$/],
    ['another namespace, a fresh sign of life', otherSpace, undefined, false, /no sign of life for 60 sec/],
    ['another namespace, no sign of life', otherSpace, old, true],
    [
      'another namespace, which gives no sign of life',
      { ...otherSpace, ...native },
      old,
      false,
      /remove .*k$/,
    ],
    ['another boot, a fresh sign of life', otherBoot, undefined, false, /no sign of life for 60 seconds$/],
    ['another boot, no sign of life', otherBoot, old, true],
    ['another boot, which gives no sign of life', { ...otherBoot, ...native }, old, false, /remove .*lock$/],
    ['a worker that has ended', { ...worker, thread: '1:1' }, undefined, isLinux],
    [
      'a worker that is not known, a fresh sign of life',
      worker,
      undefined,
      false,
      /worker 1 of this process/,
    ],
    ['a worker that is not known, no sign of life', worker, old, true],
    ['a lock that is being written', '', undefined, false],
    ['a lock that was never written', '', old, true],
    ['a lock that was never written, a time ahead', '', ahead, true],
    ['a lock that is none', 'garbage', old, true],
  ]
  for (const one of cases) await checkLock(file, one)
})

/** Opens the store at `file` beside which there is a lock, and sees whether it is taken over. */
async function checkLock(file, [what, holder, time, isStale, says = /./]) {
  const lock = `${file}.lock`
  const text = typeof holder === 'string' ? holder : lockText(holder)
  writeFileSync(lock, text)
  if (time !== undefined) utimesSync(lock, time, time)
  if (isStale) {
    const db = await open({ storage: { file } }).catch(error => assert.fail(`${what}: ${error.message}`))
    await db.close()
    assert.equal(existsSync(lock), false, what)
  } else {
    const error = await refusal(() => open({ storage: { file } }))
    assert.equal(error.code, 'LOCKED', what)
    assert.ok(error.message.includes(lock), 'the message names the lock')
    assert.match(error.message, says, what)
    assert.equal(readFileSync(lock, 'utf8'), text, what)
  }
}

test('what a process killed while it made a store has left is removed when that store is made', async t => {
  const folder = freshFolder(t)
  const others = ['other.plm.123.new', 'store.plm.1x.new', 'store.plm.new']
  for (const name of ['store.plm.123.new', ...others]) writeFileSync(join(folder, name), 'a draft')
  await (await open({ storage: { file: join(folder, 'store.plm') } })).close()
  assert.deepEqual(readdirSync(folder).sort(), [...others, 'store.plm'].sort())
})

test('a store with two names is refused by each of them', async t => {
  const file = await stored(t)
  const other = `${file}.other`
  const db = await open({ storage: { file } })
  linkSync(file, other)
  const codes = { [other]: 'STORAGE', [file]: 'LOCKED' }
  for (const [name, code] of Object.entries(codes))
    assert.equal((await refusal(() => open({ storage: { file: name } }))).code, code, name)
  await db.put('still', 'works')
  await db.close()
  for (const name of [file, other]) {
    const error = await refusal(() => open({ storage: { file: name } }))
    assert.deepEqual([error.code, error.operation, error.path], ['STORAGE', 'open', name])
    assert.match(error.reason, /^it has 2 names \(hard links\)/)
  }
  unlinkSync(other)
  const again = await open({ storage: { file } })
  assert.equal(await again.get('still'), 'works')
  await again.close()
})

test('what a process killed while it took the lock has left is removed with a stale lock', async t => {
  const file = await stored(t)
  const old = new Date(Date.now() - 120_000)
  for (const name of ['.lock', '.lock.0123456789abcdef', '.lock.0123']) {
    writeFileSync(`${file}${name}`, '')
    utimesSync(`${file}${name}`, old, old)
  }
  writeFileSync(`${file}.lock.00000000000000ff`, 'being written')
  await (await open({ storage: { file } })).close()
  const left = ['store.plm', 'store.plm.lock.00000000000000ff', 'store.plm.lock.0123']
  assert.deepEqual(readdirSync(join(file, '..')), left)
})

test('a process killed while it removed a stale lock does not keep the next one out', async t => {
  const file = await stored(t)
  const pid = await deadProcess()
  const [lock, guard] = [`${file}.lock`, `${file}.lock.takeover`]
  writeFileSync(lock, lockText({ pid }))
  writeFileSync(guard, lockText({ pid }))
  await (await open({ storage: { file } })).close()
  assert.deepEqual(readdirSync(join(file, '..')), ['store.plm'])
  writeFileSync(lock, lockText({ pid }))
  writeFileSync(guard, lockText({}))
  assert.equal((await refusal(() => open({ storage: { file } }))).code, 'LOCKED', 'only one at a time')
  assert.ok(existsSync(guard), 'it is left to the one who has made it')
})

test('a process that is killed leaves a lock that the next one takes', async t => {
  const file = join(freshFolder(t), 'store.plm')
  const source = `
    import { open } from 'palimpsest-kv'
    const db = await open({ storage: { file: process.argv[1] } })
    for (let i = 0; i < 50; i += 1) await db.put('k', String(i))
    console.log('written')
    setInterval(() => {}, 1000)`
  const end = await inProcess(source, { args: [file], signal: 'SIGKILL' })
  assert.equal(end.signal, 'SIGKILL')
  assert.equal(existsSync(`${file}.lock`), true)
  const db = await open({ storage: { file } })
  assert.deepEqual([db.revision, await db.get('k')], [51, '49'])
  await db.check()
  await db.close()
})

test('a store that is open does not keep a program alive, and a normal end loses nothing', async t => {
  const file = join(freshFolder(t), 'store.plm')
  const ends = {
    'nothing left to do': '',
    'process.exit': 'process.exit(0)',
    'an exception': 'setImmediate(() => { throw new Error("oops") })',
  }
  for (const [what, last] of Object.entries(ends)) {
    const source = `
      import { open } from 'palimpsest-kv'
      const db = await open({ storage: { file: process.argv[1] }, durability: 'relaxed', flushInterval: 60_000, compactionPause: 60_000, compactionBatchLimit: 1 })
      for (let i = 0; i < 50; i += 1) await db.put(${JSON.stringify(what)}, String(i))
      await db.compact(db.revision).catch(() => {})
      await db.put(${JSON.stringify(what)}, 'last')
      ${last}`
    const began = performance.now()
    const end = await inProcess(source, { args: [file] })
    assert.ok(performance.now() - began < 30_000, `${what}: it took as long as the pauses`)
    assert.equal(end.code, what === 'an exception' ? 1 : 0, end.stderr)
    assert.equal(existsSync(`${file}.lock`), false, what)
    const db = await open({ storage: { file } })
    assert.equal(await db.get(what), 'last')
    await db.close()
  }
})

test('an awaited compaction keeps a program alive until it is done', async () => {
  const source = `
    import { open } from 'palimpsest-kv'
    const db = await open({ storage: 'memory', compactionPause: 20, compactionBatchLimit: 100 })
    for (let i = 0; i < 1001; i += 1) await db.put('k', String(i))
    const job = await db.compact(db.revision)
    console.log((await job.done).removed)`
  const end = await inProcess(source)
  assert.deepEqual([end.code, end.stdout], [0, '1000\n'], end.stderr)
})

function inAFile(file) {
  writeFileSync(file, 'x')
  return join(file, 'store.plm')
}

const notStores = [
  ['an empty file', file => writeFileSync(file, ''), 'NOT_A_STORE', /empty/],
  ['a folder', file => mkdirSync(file), 'NOT_A_STORE', /folder/],
  ['another format', file => writeFileSync(file, 'SQLite format 3\0'.repeat(1000)), 'NOT_A_STORE', /./],
  ['a short text', file => writeFileSync(file, 'hello'), 'NOT_A_STORE', /./],
  [
    'a file in a folder that is not there',
    (_file, folder) => join(folder, 'no', 'store.plm'),
    'STORAGE',
    /no such file/,
  ],
  ['a file in a file', inAFile, 'STORAGE', /./],
]

for (const [what, make, code, says] of notStores) {
  test(`${what} is no store, and stays as it is`, async t => {
    const folder = freshFolder(t)
    const file = join(folder, 'store.plm')
    const path = make(file, folder) ?? file
    const before = existsSync(file) && statSync(file).isFile() ? readFileSync(file) : undefined
    const listing = readdirSync(folder)
    const error = await refusal(() => open({ storage: { file: path } }))
    assert.equal(error.code, code, error.message)
    assert.match(error.message, says)
    if (before !== undefined) assert.deepEqual(readFileSync(file), before)
    assert.deepEqual(readdirSync(folder), listing)
  })
}

test('a file that may only be read is refused with what is needed', async t => {
  const file = await stored(t)
  const folder = join(file, '..')
  // Root may write everything: the rights are given up once everything is loaded.
  const source = `
    import { open } from 'palimpsest-kv'
    await (await open({ storage: 'memory' })).close()
    if (process.getuid?.() === 0) process.setuid(65534)
    try { await open({ storage: { file: process.argv[1] } }) } catch (error) { console.log(error.code, error.message) }`
  for (const [folderMode, fileMode] of [
    [0o777, 0o444],
    [0o555, 0o666],
  ]) {
    chmodSync(folder, folderMode)
    chmodSync(file, fileMode)
    const { stdout } = await inProcess(source, { args: [file] })
    assert.match(stdout, /^STORAGE .*needs to read and write its file/, stdout)
    assert.deepEqual(readdirSync(folder), ['store.plm'])
  }
  chmodSync(folder, 0o777)
})

test('a truncated store is refused or whole, and never changed by the refusal', async t => {
  const file = await stored(t)
  const whole = readFileSync(file)
  const kept = `${file}.whole`
  renameSync(file, kept)
  for (let length = 1; length < whole.length; length += Math.ceil(whole.length / 40)) {
    writeFileSync(file, whole)
    truncateSync(file, length)
    await refusedOrRight(file)
  }
})

test('a store of a newer format is refused as such', async t => {
  const file = await stored(t)
  const codes = new Set()
  const whole = readFileSync(file)
  for (let at = 0; at < 64; at += 1) {
    const changed = Buffer.from(whole)
    changed[at] = (changed[at] + 1) % 256
    writeFileSync(file, changed)
    codes.add((await refusedOrRight(file)) ?? 'right')
  }
  for (const code of codes)
    assert.ok(['right', 'NOT_A_STORE', 'CORRUPT', 'NEWER_FORMAT'].includes(code), code)
})

test('a flipped bit is seen, or does not matter', async t => {
  const file = await stored(t, { pageBytes: 512 })
  const whole = readFileSync(file)
  let refused = 0
  for (let i = 0; i < 150; i += 1) {
    // A fixed walk over all of the file: a prime step visits every part of it.
    const at = (i * 104_729) % (whole.length * 8)
    const changed = Buffer.from(whole)
    changed[at >> 3] ^= 1 << (at & 7)
    writeFileSync(file, changed)
    if ((await refusedOrRight(file)) !== undefined) refused += 1
  }
  assert.ok(refused > 0, 'at least one of them mattered')
})

/** Opens a store of `stored` that may be damaged: it is refused as it is, or every answer is right. */
async function refusedOrRight(file) {
  const before = readFileSync(file)
  let db
  try {
    db = await open({ storage: { file } })
  } catch (error) {
    assert.ok(['NOT_A_STORE', 'CORRUPT', 'NEWER_FORMAT', 'STORAGE'].includes(error.code), error.stack)
    assert.deepEqual(readFileSync(file), before, 'a refused file is as it was')
    assert.equal(existsSync(`${file}.lock`), false)
    return error.code
  }
  let code
  try {
    // What a crash could have left is right, too: the beginning of the history, whole.
    assert.deepEqual(await contents(db), expectedOf(db.revision), `the history up to ${db.revision}`)
  } catch (error) {
    if (error.code !== 'CORRUPT') throw error
    code = error.code
  } finally {
    await db
      .close()
      .catch(error => assert.ok(['CORRUPT', 'WRITES_REFUSED'].includes(error.code), error.stack))
  }
  return code
}

/** What `stored` has written up to a revision. */
function expectedOf(revision) {
  const map = new Map()
  for (let i = 0; i < revision - 1; i += 1) map.set(`k${i % 100}`, `v${i}`.repeat(20))
  return [...map].sort(([one], [other]) => (one < other ? -1 : 1))
}

test('a file gets shorter while it is written to', async t => {
  const file = join(freshFolder(t), 'store.plm')
  const db = await open({ storage: { file }, durability: 'relaxed', compactionPause: 0 })
  for (let i = 0; i < 2_000; i += 1) await db.put(`key${i}`, 'x'.repeat(400))
  await db.delete({ prefix: 'key' })
  await db.put('kept', 'value')
  await (await db.compact(db.revision)).done
  await db.shrink()
  const before = statSync(file).size
  for (let i = 0; (await db.status()).isShrinking; i += 1) {
    await db.put('meanwhile', String(i))
    await new Promise(resolve => setTimeout(resolve, 1))
  }
  const after = statSync(file).size
  assert.ok(after < before / 4 && after < 200_000, `${before} bytes became ${after}`)
  assert.equal(await db.get('kept'), 'value')
  await db.check()
  await db.close()
  const again = await open({ storage: { file } })
  assert.equal(await again.get('kept'), 'value')
  await again.check()
  await again.close()
})
