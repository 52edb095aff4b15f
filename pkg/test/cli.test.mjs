// The program `palimpsest`, as it is installed: what it finds in damaged stores, what it saves of them, and that it changes nothing.
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { open } from 'palimpsest-kv'
import { contents, freshFolder, here } from './support/help.mjs'

const program = join(here, '..', 'node_modules', '.bin', 'palimpsest')

/** How a call of the program ended. */
function called(...args) {
  const child = spawn(program, args, { shell: process.platform === 'win32' })
  const said = { out: '', err: '' }
  child.stdout.setEncoding('utf8').on('data', text => (said.out += text))
  child.stderr.setEncoding('utf8').on('data', text => (said.err += text))
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', code => resolve({ code, ...said }))
  })
}

/** The exit code of a call whose output nobody reads. */
async function unread(...args) {
  const child = spawn(program, args, { shell: process.platform === 'win32' })
  child.stdout.destroy()
  let said = ''
  child.stderr.setEncoding('utf8').on('data', text => (said += text))
  const [code] = await once(child, 'close')
  assert.equal(said, '')
  return code
}

/** As `called`, with the report as an object. */
async function reported(...args) {
  const { code, out, err } = await called(...args, '--json')
  assert.equal(err, '')
  assert.equal(out.trimEnd().split('\n').length, 1, 'one line')
  return { code, ...JSON.parse(out) }
}

const valueAt = i => `v${String(i).padStart(3, '0')}`.repeat(20)

/** A closed store in which each of 100 keys was put three times, and its path. */
async function stored(t) {
  const file = join(freshFolder(t), 'store.plm')
  const db = await open({ storage: { file }, durability: 'relaxed' })
  for (let i = 0; i < 300; i += 1) await db.put(`k${i % 100}`, valueAt(i))
  await db.close()
  return file
}

/** Flips a bit in every copy of the newest value of `k50`, whichever of them is the one that counts. */
function damage(file) {
  const bytes = readFileSync(file)
  const value = valueAt(250)
  let copies = 0
  for (let at = bytes.indexOf(value); at >= 0; at = bytes.indexOf(value, at)) {
    bytes[at + 7] ^= 1
    copies += 1
  }
  assert.ok(copies > 0)
  writeFileSync(file, bytes)
}

/** Calls, and looks whether the store and what is beside it are as before, apart from a file that is to be made. */
async function changingNothing(file, call, made = []) {
  const folder = join(file, '..')
  const before = readFileSync(file)
  const listing = readdirSync(folder)
  const answer = await call()
  assert.deepEqual(readFileSync(file), before)
  assert.deepEqual(readdirSync(folder), [...listing, ...made].sort())
  return answer
}

test('a sound store', async t => {
  const file = await stored(t)
  chmodSync(file, 0o444)
  const found = await changingNothing(file, () => reported('check', file))
  const { pages, ...others } = found
  assert.deepEqual(others, {
    code: 0,
    command: 'check',
    file,
    sound: true,
    pageBytes: 4096,
    fileBytes: pages * 4096,
    damage: [],
    moreDamage: 0,
    revision: 301,
    keys: 100,
    records: 300,
  })
  const { code, out } = await called('check', file)
  assert.equal(code, 0)
  assert.match(out, /is sound\n {2}revision 301, 100 keys, 300 records\n {2}\d+ pages of 4096 bytes\n$/)
  const copy = join(file, '..', 'copy.plm')
  const saved = await changingNothing(file, () => reported('salvage', file, copy), ['copy.plm'])
  assert.deepEqual([saved.code, saved.complete, saved.recordsSaved, saved.recordsLost], [0, true, 300, 0])
  const db = await open({ storage: { file: copy } })
  assert.deepEqual([db.revision, await db.get('k7', { revision: 109 })], [301, valueAt(107)])
  await db.check()
  await db.close()
})

test('a flipped bit in a leaf is found, and everything else is saved', async t => {
  const file = await stored(t)
  damage(file)
  const found = await changingNothing(file, () => reported('check', file))
  assert.deepEqual([found.code, found.sound, found.damage.length, found.moreDamage], [1, false, 1, 0])
  assert.equal(found.damage[0].kind, 'leaf')
  const { code, out } = await called('check', file)
  assert.equal(code, 1)
  assert.match(out, /is damaged: 1 page\n {2}page \d+ \(leaf\): .*palimpsest salvage .+ OUT\n$/s)
  const copy = join(file, '..', 'copy.plm')
  const saved = await changingNothing(file, () => reported('salvage', file, copy), ['copy.plm'])
  assert.deepEqual([saved.code, saved.complete, saved.damagedPages, saved.revision], [1, false, 1, 301])
  assert.equal(saved.damage[0].page, found.damage[0].page)
  const [{ fromRevision, toRevision }] = saved.lost
  assert.ok(
    fromRevision <= 252 && 252 <= toRevision,
    'the revision of the value is among those that are named',
  )
  assert.ok(saved.recordsSaved > 200 && saved.recordsSaved + saved.recordsLost === 300)
  const db = await open({ storage: { file: copy } })
  await db.check()
  const isLost = i => fromRevision <= i + 2 && i + 2 <= toRevision
  const newest = key => [200, 100, 0].map(past => past + key).find(i => !isLost(i))
  const expected = Array.from({ length: 100 }, (_, key) => [`k${key}`, valueAt(newest(key))])
  assert.deepEqual(
    await contents(db),
    expected.sort(([one], [other]) => (one < other ? -1 : 1)),
  )
  await db.close()
  const again = await called('salvage', file, join(file, '..', 'again.plm'))
  assert.equal(again.code, 1)
  assert.match(again.out, /again\.plm has what could be read of .*missing: \d+ records that are known of\n/s)
})

test('a file that is cut off', async t => {
  const file = await stored(t)
  const whole = readFileSync(file).length
  truncateSync(file, Math.floor(whole * 0.6))
  const found = await changingNothing(file, () => reported('check', file))
  assert.deepEqual([found.code, found.sound, found.fileBytes], [1, false, Math.floor(whole * 0.6)])
  const copy = join(file, '..', 'copy.plm')
  const saved = await changingNothing(file, () => reported('salvage', file, copy), ['copy.plm'])
  assert.deepEqual([saved.code, saved.complete], [1, false])
  assert.ok(saved.recordsSaved > 0)
  const db = await open({ storage: { file: copy } })
  await db.check()
  for (const [key, value] of await contents(db)) {
    const written = [0, 100, 200].map(past => valueAt(past + Number(key.slice(1))))
    assert.ok(written.includes(value), `${key} has a value of its own`)
  }
  await db.close()
})

const text = 'no store at all '.repeat(1000)

/** `[what, make, args, code or usage, what is said]`; files are in a folder of their own, with a sound store in `store.plm`. */
const refusals = [
  ['no command', () => {}, [], 'usage', /which command/],
  ['an unknown command', () => {}, ['mend', 'store.plm'], 'usage', /no command "mend"/],
  ['an inherited command', () => {}, ['toString', 'store.plm'], 'usage', /no command "toString"/],
  ['an unknown option', () => {}, ['check', 'store.plm', '--fix'], 'usage', /--fix/],
  ['no file', () => {}, ['check'], 'usage', /check takes FILE/],
  ['no file to write to', () => {}, ['salvage', 'store.plm'], 'usage', /salvage takes FILE OUT/],
  ['too many files', () => {}, ['check', 'store.plm', 'b'], 'usage', /check takes FILE/],
  ['no such file', () => {}, ['check', 'nothing.plm'], 'STORAGE', /no such file/],
  ['an empty file', at => writeFileSync(at('a'), ''), ['check', 'a'], 'NOT_A_STORE', /empty/],
  ['a folder', at => mkdirSync(at('a')), ['check', 'a'], 'NOT_A_STORE', /folder/],
  ['a text', at => writeFileSync(at('a'), text), ['check', 'a'], 'NOT_A_STORE', /not a Palimpsest store/],
  [
    'a text to salvage',
    at => writeFileSync(at('a'), text),
    ['salvage', 'a', 'b'],
    'NOT_A_STORE',
    /not a Pal/,
  ],
  ['a short text', at => writeFileSync(at('a'), 'hello'), ['check', 'a'], 'NOT_A_STORE', /./],
  [
    'a file that is there',
    at => writeFileSync(at('b'), 'x'),
    ['salvage', 'store.plm', 'b'],
    'INVALID_ARGUMENT',
    /exists/,
  ],
  [
    'a link that leads nowhere',
    at => symlinkSync(at('nowhere'), at('b')),
    ['salvage', 'store.plm', 'b'],
    'INVALID_ARGUMENT',
    /exists/,
  ],
  ['the store itself', () => {}, ['salvage', 'store.plm', 'store.plm'], 'INVALID_ARGUMENT', /exists already/],
  ['nowhere to write to', () => {}, ['salvage', 'store.plm', 'no/b'], 'STORAGE', /no such file/],
]

test('what can’t be done is refused with a reason, and nothing is changed', async t => {
  const store = await stored(t)
  const refused = async ([what, make, args, code, says]) => {
    const folder = freshFolder(t)
    const at = name => join(folder, name)
    writeFileSync(at('store.plm'), readFileSync(store))
    make(at)
    const listing = readdirSync(folder)
    const [command, ...rest] = args
    const files = rest.map(name => (name.startsWith('--') ? name : at(name)))
    const given = command === undefined ? [] : [command, ...files]
    if (code === 'usage') {
      const { code, out, err } = await called(...given)
      assert.deepEqual([code, out], [2, ''], what)
      assert.match(err, says, what)
      assert.match(err, /\n\nusage: palimpsest check FILE/, what)
    } else {
      const { code: exit, error } = await reported(...given)
      assert.deepEqual([exit, error.code], [2, code], what)
      assert.match(error.message, says, what)
    }
    assert.deepEqual(readdirSync(folder), listing, what)
    assert.deepEqual(readFileSync(at('store.plm')), readFileSync(store), what)
  }
  await Promise.all(refusals.map(refused))
})

/** What runs a shell whose mounts nobody else sees. */
const MOUNTING = ['unshare', '--map-root-user', '--mount', 'sh', '-c']
const canMount = spawnSync(MOUNTING[0], [...MOUNTING.slice(1), 'mount -t tmpfs none /mnt']).status === 0

/** Calls the program where a folder can't be written to. */
async function calledReadOnly(folder, ...args) {
  const script = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"'
  const child = spawn(MOUNTING[0], [...MOUNTING.slice(1), script, folder, program, ...args])
  const [out, err] = [child.stdout, child.stderr].map(stream => stream.setEncoding('utf8').toArray())
  const [code] = await once(child, 'close')
  return { code, out: (await out).join(''), err: (await err).join('') }
}

const skip = canMount ? false : 'nothing can be mounted here'
test('a store that can only be read is checked and saved without a lock', { skip }, async t => {
  const file = await stored(t)
  const folder = join(file, '..')
  const copy = join(freshFolder(t), 'copy.plm')
  const check = (...more) => changingNothing(file, () => calledReadOnly(folder, 'check', file, ...more))
  const text = await check()
  assert.equal(text.code, 0, text.err)
  assert.match(
    text.out,
    /is sound\n[\s\S]*\nNo lock could be written beside .*: this holds only if no program/,
  )
  assert.equal(JSON.parse((await check('--json')).out).unlocked, true)
  const saved = await calledReadOnly(folder, 'salvage', file, copy, '--json')
  assert.deepEqual([saved.code, JSON.parse(saved.out).unlocked], [0, true])
  assert.equal((await calledReadOnly(folder, 'export', file, `${copy}.2`)).code, 2)
  const db = await open({ storage: { file } })
  assert.match((await check()).err, /is already open in process/)
  await db.close()
})

test('a store that is open is refused with who has it', async t => {
  const file = await stored(t)
  const db = await open({ storage: { file } })
  const out = join(file, '..', 'out.plm')
  for (const args of [
    ['check', file],
    ['salvage', file, out],
  ]) {
    const { code, err } = await called(...args)
    assert.equal(code, 2)
    assert.match(err, new RegExp(`^palimpsest: the store .* is already open in process ${process.pid} on `))
  }
  assert.equal(existsSync(out), false)
  await db.close()
})

test('the exit code is the same if nobody reads the report', async t => {
  const file = await stored(t)
  assert.equal(await unread('check', file), 0)
  damage(file)
  assert.equal(await unread('check', file, '--json'), 1)
})

test('help is an answer', async () => {
  for (const args of [['--help'], ['check', '--help']]) {
    const { code, out, err } = await called(...args)
    assert.deepEqual([code, err], [0, ''])
    assert.match(out, /^usage: palimpsest check FILE/)
  }
})

const snapshot =
  process.env.PALIMPSEST_SNAPSHOT ?? join(here, '..', '..', 'tests', 'snapshots', 'etcd-3.4.23.db')

test('a store is exported to a file, and imported from it', async t => {
  const file = await stored(t)
  const [copy, restored] = [`${file}.plx`, `${file}.restored`]
  const before = readFileSync(file)
  const exported = await reported('export', file, copy)
  assert.deepEqual([exported.code, exported.revision, exported.keys, exported.records], [0, 301, 100, 300])
  assert.equal(exported.bytes, readFileSync(copy).length)
  assert.deepEqual(readFileSync(file), before, 'a store that was closed is not changed')
  const { code, out } = await called('import', copy, restored)
  assert.equal(code, 0)
  assert.equal(out, `${restored} is the store of ${copy}\n  revision 301, 100 keys, 300 records\n`)
  const db = await open({ storage: { file: restored } })
  assert.equal(await db.get('k7', { revision: 150 }), valueAt(107))
  await db.close()
})

test('what rules of retention keep is in a copy, which is made without knowing them', async t => {
  const file = join(freshFolder(t), 'kept.plm')
  const retention = [{ prefix: 'a', newest: 5 }]
  let db = await open({ storage: { file }, retention })
  for (let i = 0; i < 10; i += 1) await db.put('a', String(i))
  await (await db.compact(db.revision)).done
  await db.close()
  const { records } = await reported('export', file, `${file}.plx`)
  assert.equal(records, 5)
  await reported('import', `${file}.plx`, `${file}.restored`)
  db = await open({ storage: { file: `${file}.restored` }, retention })
  const { entries } = await db.history('a').collect()
  assert.deepEqual(
    entries.map(({ value }) => value),
    ['5', '6', '7', '8', '9'],
  )
  await db.close()
})

test('what is no export is not imported, and no file is left', async t => {
  const file = await stored(t)
  const copy = `${file}.plx`
  await called('export', file, copy)
  const bytes = readFileSync(copy)
  bytes[bytes.length >> 1] ^= 1
  writeFileSync(copy, bytes)
  const { code, error } = await reported('import', copy, `${file}.new`)
  assert.deepEqual([code, error.code], [1, 'INVALID_SOURCE'])
  assert.ok(!existsSync(`${file}.new`))
  assert.equal((await called('import', file, `${file}.new`)).code, 1, 'a store is no export')
  assert.equal((await called('import-etcd', file, `${file}.new`)).code, 1)
  assert.equal((await called('import', `${file}.missing`, `${file}.new`)).code, 2)
  assert.equal((await called('import', copy, file)).code, 2, 'the file exists')
  assert.equal((await called('export', `${file}.missing`, `${file}.new`)).code, 2)
  assert.equal((await called('export', file)).code, 2)
  assert.equal((await called('export', file, `${file}.new`, '--skip-hash-check')).code, 2)
  assert.ok(!existsSync(`${file}.missing`) && !existsSync(`${file}.new`))
})

test('an open store is not exported', async t => {
  const file = await stored(t)
  const db = await open({ storage: { file } })
  const { code, error } = await reported('export', file, `${file}.plx`)
  assert.deepEqual([code, error.code], [2, 'LOCKED'])
  await db.close()
})

test('a snapshot of etcd becomes a store', async t => {
  const file = join(freshFolder(t), 'etcd.plm')
  const { code, ...report } = await reported('import-etcd', snapshot, file)
  assert.equal(code, 0)
  assert.deepEqual([report.revision, report.compacted, report.leases, report.marks], [33, 5, 1, 0])
  const db = await open({ storage: { file } })
  assert.equal((await db.hashKv()).hash, 1_137_297_044)
  await db.close()
  const bytes = readFileSync(snapshot)
  const database = `${file}.db`
  writeFileSync(database, bytes.subarray(0, bytes.length - 32))
  assert.equal((await called('import-etcd', database, `${file}.2`)).code, 1)
  const skipped = await called('import-etcd', database, `${file}.2`, '--skip-hash-check')
  assert.equal(skipped.code, 0)
  assert.match(
    skipped.out,
    /has the history of .*\n {2}revision 33, compacted to 5, 6 keys, \d+ records, 1 lease\n$/,
  )
})
