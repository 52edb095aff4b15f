// Putting, reading, deleting, at the newest revision and in the past.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { open } from 'palimpsest-kv'
import { contents, Medium, refusal } from './support/help.mjs'
import { readsAtOnce } from './support/here.mjs'

const memory = { storage: 'memory' }
const bytes = (...numbers) => Uint8Array.from(numbers)

async function filled(t, entries, options = {}) {
  const db = await open({ ...memory, ...options })
  t.after(() => db.close())
  for (const [key, value] of entries) await db.put(key, value)
  return db
}

test('a new store is at revision 1 and each write makes the next', async t => {
  const db = await filled(t, [])
  assert.equal(db.revision, 1)
  assert.deepEqual(await db.put('a', '1'), { revision: 2 })
  assert.deepEqual(await db.put('a', '2'), { revision: 3 })
  assert.deepEqual([db.revision, db.durableRevision], [3, 3])
})

test('a store in memory says that it is', async t => {
  const db = await filled(t, [])
  assert.deepEqual(db.storage, { kind: 'memory', persistent: false })
})

test('the past is there', async t => {
  const db = await filled(t, [['users/1', 'Ada']])
  const before = db.revision
  await db.put('users/1', 'Ada Lovelace')
  await db.delete('users/1')
  await db.put('users/1', 'Augusta')
  for (const [revision, value] of [
    [undefined, 'Augusta'],
    [0, 'Augusta'],
    [1, undefined],
    [before, 'Ada'],
    [before + 1, 'Ada Lovelace'],
    [before + 2, undefined],
    [before + 3, 'Augusta'],
  ]) {
    assert.equal(await db.get('users/1', { revision }), value, `get at ${revision}`)
    if (readsAtOnce) assert.equal(db.getSync('users/1', { revision }), value, `getSync at ${revision}`)
    const expected = value === undefined ? [] : [['users/1', value]]
    assert.deepEqual(await contents(db, { revision }), expected, `range at ${revision}`)
    assert.equal(await db.count({ revision }), expected.length, `count at ${revision}`)
  }
})

test('an entry says when its key was made and changed', async t => {
  const db = await filled(t, [
    ['a', '1'],
    ['b', '1'],
    ['a', '2'],
  ])
  const expected = { key: 'a', value: '2', createRevision: 2, modRevision: 4, version: 2, lease: undefined }
  assert.deepEqual(await db.getEntry('a'), expected)
  assert.deepEqual((await db.range({ key: 'a' }).collect()).entries, [expected])
  assert.deepEqual(await db.getEntry('a', { revision: 2 }), {
    ...expected,
    value: '1',
    modRevision: 2,
    version: 1,
    lease: undefined,
  })
  assert.equal(await db.getEntry('c'), undefined)
})

test('keys are selected in every way', async t => {
  const keys = ['a', 'a/1', 'a/2', 'b', 'b/1', 'é', '\u{1f600}']
  const selections = [
    [{}, keys],
    [{ all: true }, keys],
    [{ key: 'a' }, ['a']],
    [{ key: 'x' }, []],
    [{ prefix: 'a/' }, ['a/1', 'a/2']],
    [{ prefix: '' }, keys],
    [{ prefix: bytes(0xc3) }, ['é']],
    [{ from: 'a/2' }, ['a/2', 'b', 'b/1', 'é', '\u{1f600}']],
    [{ to: 'b' }, ['a', 'a/1', 'a/2']],
    [{ from: 'a/1', to: 'b/1' }, ['a/1', 'a/2', 'b']],
    [{ from: 'b', to: 'a' }, []],
    [{ from: 'a', limit: 2 }, ['a', 'a/1']],
    [{ limit: 0 }, []],
  ]
  for (const [selection, expected] of selections) {
    const db = await filled(
      t,
      keys.map(key => [key, key]),
    )
    const what = JSON.stringify(selection)
    assert.deepEqual(
      (await contents(db, selection)).map(([key]) => key),
      expected,
      `range ${what}`,
    )
    if (readsAtOnce) {
      const keys = [...db.rangeSync(selection)].map(({ key }) => key)
      assert.deepEqual(keys, expected, `rangeSync ${what}`)
    }
    assert.deepEqual((await db.keys(selection).collect()).entries, expected, `keys ${what}`)
    const { limit, ...keysOnly } = selection
    if (limit !== undefined) continue
    assert.equal(await db.count(keysOnly), expected.length, `count ${what}`)
    if (Object.keys(keysOnly).length === 0) continue
    const { deleted, revision } = await db.delete(keysOnly)
    assert.equal(deleted, expected.length, `delete ${what}`)
    assert.equal(revision, keys.length + 1 + (deleted > 0 ? 1 : 0), 'one revision, and none for nothing')
    assert.equal(await db.count(), keys.length - expected.length)
  }
})

test('a limit says whether there is more', async t => {
  const db = await filled(
    t,
    ['a', 'b', 'c'].map(key => [key, key]),
  )
  for (const [limit, length, more] of [
    [0, 0, true],
    [2, 2, true],
    [3, 3, false],
    [9, 3, false],
    [undefined, 3, false],
  ]) {
    const page = await db.range({ limit }).collect()
    assert.deepEqual([page.entries.length, page.more], [length, more], `limit ${limit}`)
  }
})

test('a range of many batches is complete and stays as it was when it began', async t => {
  const expected = Array.from({ length: 1000 }, (_, i) => [String(i).padStart(4, '0'), 'x'.repeat(i)])
  const db = await filled(t, expected, { durability: 'relaxed' })
  const seen = []
  for await (const { key, value } of db.range()) {
    if (seen.length === 0) await db.delete({ all: true })
    seen.push([key, value])
  }
  assert.deepEqual(seen, expected)
  assert.deepEqual(await contents(db), [])
  assert.deepEqual(await contents(db, { revision: db.revision - 1 }), expected)
})

test('a range that is left early gives its snapshot back', async t => {
  const db = await filled(
    t,
    Array.from({ length: 600 }, (_, i) => [`k${i}`, 'v']),
  )
  for await (const _ of db.range()) break
  if (readsAtOnce) for (const _ of db.rangeSync()) break
  assert.equal((await db.status()).snapshots, 0)
  const iterator = db.range()[Symbol.asyncIterator]()
  await iterator.next()
  assert.equal((await db.status()).snapshots, 1)
  await iterator.return()
  assert.equal((await db.status()).snapshots, 0)
})

test('texts of all lengths and kinds are what they were, as keys and as values', async t => {
  const db = await filled(t, [])
  const texts = []
  for (const length of [1, 15, 16, 17, 63, 64, 65, 200])
    for (const last of ['', '\u007f', 'é', '\u{1f600}']) texts.push(`${'k'.repeat(length - 1)}${last || 'z'}`)
  for (const text of texts) await db.put(text, text, { durability: 'relaxed' })
  for (const text of texts) assert.equal(await db.get(text), text)
  assert.deepEqual((await db.keys().collect()).entries.sort(), texts.sort())
  const halved = await refusal(() => db.put('k\ud83d', 'x'))
  assert.equal(halved.code, 'INVALID_ARGUMENT')
})

test('values and keys by codec, of the store and of the call', async t => {
  const cases = [
    ['utf8', '', ''],
    ['utf8', 'Ada \u{1f600} é \ufffd \ufeff', 'Ada \u{1f600} é \ufffd \ufeff'],
    ['utf8', 'ü'.repeat(50_000), 'ü'.repeat(50_000)],
    ['bytes', bytes(), bytes()],
    ['bytes', bytes(0, 255, 128), bytes(0, 255, 128)],
    ['bytes', new Uint8Array(200_000).fill(7), new Uint8Array(200_000).fill(7)],
    ['bytes', Buffer.from('node'), bytes(...Buffer.from('node'))],
    ['json', { a: [1, null, 'x'] }, { a: [1, null, 'x'] }],
    ['json', null, null],
    ['json', 'text', 'text'],
  ]
  const mixed = await filled(t, [])
  for (const [values, value, expected] of cases) {
    const db = await filled(t, [['k', value]], { values })
    await mixed.put('k', value, { values })
    for (const [store, options] of [
      [db, {}],
      [mixed, { values }],
    ]) {
      assert.deepEqual(await store.get('k', options), expected)
      assert.deepEqual((await store.getEntry('k', options)).value, expected)
      if (!readsAtOnce) continue
      assert.deepEqual(store.getSync('k', { ...options, revision: store.revision }), expected)
      assert.deepEqual([...store.rangeSync(options)][0].value, expected)
      using(store.snapshot(), snapshot => assert.deepEqual(snapshot.getSync('k', options), expected))
    }
  }
})

function using(snapshot, use) {
  try {
    use(snapshot)
  } finally {
    snapshot.close()
  }
}

test('bytes that are handed out are the caller’s own', async t => {
  const db = await filled(t, [['k', bytes(1, 2, 3)]], { values: 'bytes' })
  const value = await db.get('k')
  value.fill(9)
  assert.deepEqual(await db.get('k'), bytes(1, 2, 3))
  assert.equal(Object.getPrototypeOf(value), Uint8Array.prototype)
  assert.equal(value.buffer.byteLength, 3)
})

test('keys of bytes', async t => {
  const db = await filled(
    t,
    [
      [bytes(255, 0), 'x'],
      ['text', 'y'],
    ],
    { keys: 'bytes' },
  )
  assert.deepEqual((await db.keys().collect()).entries, [bytes(...Buffer.from('text')), bytes(255, 0)])
  assert.equal(await db.get(bytes(255, 0)), 'x')
  assert.deepEqual((await db.range({ keys: 'utf8', prefix: 't' }).collect()).entries[0].key, 'text')
})

test('keys and values at their limits', async t => {
  const db = await filled(t, [], { values: 'bytes', maxKeyBytes: 5000, maxValueBytes: 70_000 })
  for (const [keyLength, valueLength] of [
    [1, 0],
    [4096, 61_440],
    [4097, 61_440],
    [4096, 61_441],
    [5000, 70_000],
  ]) {
    const key = 'k'.repeat(keyLength)
    const value = new Uint8Array(valueLength).fill(keyLength % 256)
    await db.put(key, value)
    assert.deepEqual(await db.get(key), value, `${keyLength} and ${valueLength} bytes`)
  }
})

test('a snapshot reads at its revision until it is closed', async t => {
  const db = await filled(t, [
    ['a', '1'],
    ['a', '2'],
    ['b', '1'],
  ])
  const now = db.snapshot()
  const then = db.snapshot({ revision: 2 })
  assert.equal((await db.status()).snapshots, 2)
  await db.put('a', '3')
  await db.delete('b')
  await (await db.compact(db.revision)).done
  assert.deepEqual([now.revision, then.revision], [4, 2])
  assert.equal(await then.get('a', { revision: 2 }), '1')
  await assert.rejects(then.get('a', { revision: 4 }), {
    code: 'INVALID_ARGUMENT',
    message: /own revision, 2, not at 4/,
  })
  assert.deepEqual([await now.get('a'), await then.get('a')], ['2', '1'])
  if (readsAtOnce) assert.deepEqual([now.getSync('b'), then.getSync('b')], ['1', undefined])
  assert.deepEqual(await contents(now), [
    ['a', '2'],
    ['b', '1'],
  ])
  if (readsAtOnce)
    assert.deepEqual(
      [...then.rangeSync({ prefix: 'a' })].map(({ value }) => value),
      ['1'],
    )
  assert.deepEqual([await now.count(), await then.count({ all: true })], [2, 1])
  assert.deepEqual(await now.getEntry('a'), {
    key: 'a',
    value: '2',
    createRevision: 2,
    modRevision: 3,
    version: 2,
    lease: undefined,
  })
  now.close()
  now.close()
  then[Symbol.dispose]()
  assert.equal((await db.status()).snapshots, 0)
})

test('several stores at once do not mix', async t => {
  const stores = await Promise.all(Array.from({ length: 5 }, () => filled(t, [])))
  await Promise.all(stores.map((db, i) => db.put('k', String(i))))
  await stores[0].close()
  assert.deepEqual(await Promise.all(stores.slice(1).map(db => db.get('k'))), ['1', '2', '3', '4'])
})

test('the memory of a store grows far without a stop, and views on it are renewed', async t => {
  const db = await filled(t, [], { durability: 'relaxed', values: 'bytes' })
  const value = new Uint8Array(50_000)
  for (let i = 0; i < 3000; i += 1) {
    value.fill(i % 251)
    await db.put(`k${i}`, value)
  }
  for (const i of [0, 1, 1500, 2999]) assert.deepEqual(await db.get(`k${i}`), value.slice().fill(i % 251))
})

test('a status and a check of the whole store', async t => {
  const db = await filled(
    t,
    [
      ['a', '1'],
      ['a', '2'],
      ['b', '1'],
    ],
    { pageBytes: 512 },
  )
  await db.delete('b')
  const status = await db.status()
  const { revision, durableRevision, compacted, liveKeys, keys, records, pageBytes } = status
  assert.deepEqual(
    { revision, durableRevision, compacted, liveKeys, keys, records, pageBytes },
    {
      revision: 5,
      durableRevision: 5,
      compacted: undefined,
      liveKeys: 1,
      keys: 2,
      records: 4,
      pageBytes: 512,
    },
  )
  const absent = ['compacted', 'scheduled', 'finished', 'quotaBytes']
  const { holders, role, ...numbers } = status
  // Only an engine in a page's worker has one.
  assert.ok([undefined, 'leader', 'follower'].includes(role), role)
  assert.deepEqual(holders, [])
  for (const [name, value] of Object.entries(numbers)) {
    const type = absent.includes(name) ? 'undefined' : name.startsWith('is') ? 'boolean' : 'number'
    assert.equal(typeof value, type, name)
  }
  await db.checkpoint()
  assert.equal((await db.status()).checkpoints, status.checkpoints + 1)
  const report = await db.check()
  assert.deepEqual([report.keys, report.records], [2, 4])
  assert.equal(typeof report.reachablePages, 'number')
})

test('relaxed writes become durable by themselves and by flush', async t => {
  const db = await filled(t, [['a', '1']], { storage: new Medium(), durability: 'relaxed', flushInterval: 5 })
  assert.deepEqual([db.revision, db.durableRevision], [2, 1])
  assert.equal(await db.flush(), 2)
  assert.equal(db.durableRevision, 2)
  await db.put('a', '2')
  for (let i = 0; i < 200 && db.durableRevision < 3; i += 1)
    await new Promise(resolve => setTimeout(resolve, 5))
  assert.equal(db.durableRevision, 3)
})
