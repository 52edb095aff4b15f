// What puts, deletes and ranges can be asked for besides.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { open } from 'palimpsest-kv'
import { refusal } from './support/help.mjs'

/** A store with entries of different versions and revisions: b c a a c. */
async function filled(t, options = {}) {
  const db = await open({ storage: 'memory', ...options })
  t.after(() => db.close())
  for (const [key, value] of [
    ['b', '5'],
    ['c', '1'],
    ['a', '9'],
    ['a', '3'],
    ['c', '4'],
  ])
    await db.put(key, value)
  return db
}

const text = page => page.entries.map(entry => entry.key).join('')

test('a put answers with what it replaces', async t => {
  const db = await filled(t)
  const before = await db.getEntry('a')
  assert.deepEqual(await db.put('a', 'x', { previous: true }), { revision: 7, previous: before })
  assert.deepEqual(await db.put('new', 'x', { previous: true }), { revision: 8 })
  assert.deepEqual(await db.put('a', 'y', { previous: false }), { revision: 9 })
  const bytes = await db.put('a', Uint8Array.of(255), { previous: true, values: 'bytes', keys: 'bytes' })
  assert.deepEqual([bytes.previous.key, bytes.previous.value], [Uint8Array.of(97), Uint8Array.of(121)])
  const error = await refusal(() => db.put('a', 'z', { previous: true }))
  assert.equal(error.code, 'INVALID_VALUE')
  assert.match(error.message, /has been done.*revision 11/)
  assert.equal(error.revision, 11)
  assert.equal(await db.get('a'), 'z')
})

test('a put keeps the value or the lease that there is', async t => {
  const db = await filled(t)
  const { id } = await db.grantLease(60_000)
  await db.put('a', 'leased', { lease: id })
  assert.equal((await db.getEntry('a')).lease, id)
  assert.deepEqual(await db.put('a', undefined, { keepValue: true, keepLease: true }), { revision: 8 })
  const kept = await db.getEntry('a')
  assert.deepEqual([kept.value, kept.lease, kept.version], ['leased', id, 4])
  await db.put('a', 'new', { keepLease: true })
  assert.equal((await db.getEntry('a')).lease, id)
  await db.put('a', undefined, { keepValue: true })
  const detached = await db.getEntry('a')
  assert.deepEqual([detached.value, detached.lease], ['new', undefined])
  for (const options of [{ keepLease: true }, { keepValue: true }]) {
    const error = await refusal(() => db.put('no', options.keepValue ? undefined : 'x', options))
    assert.equal(error.code, 'KEY_NOT_FOUND')
    assert.deepEqual(error.key, new TextEncoder().encode('no'))
  }
  assert.equal(db.revision, 10)
})

test('a delete answers with what it deletes', async t => {
  const db = await filled(t)
  const { entries } = await db.range({ from: 'b' }).collect()
  assert.deepEqual(await db.delete({ from: 'b' }, { previous: true }), {
    revision: 7,
    deleted: 2,
    previous: entries,
  })
  assert.deepEqual(await db.delete('none', { previous: true }), { revision: 7, deleted: 0, previous: [] })
  assert.deepEqual(await db.delete('a', { previous: false }), { revision: 8, deleted: 1 })
})

const orders = [
  [{ by: 'key' }, 'abc'],
  [{ by: 'key', order: 'descending' }, 'cba'],
  [{ by: 'version' }, 'bac'],
  [{ by: 'version', order: 'descending' }, 'acb'],
  [{ by: 'createRevision' }, 'bca'],
  [{ by: 'createRevision', order: 'descending' }, 'acb'],
  [{ by: 'modRevision' }, 'bac'],
  [{ by: 'modRevision', order: 'descending' }, 'cab'],
  [{ by: 'value' }, 'acb'],
  [{ by: 'value', order: 'descending' }, 'bca'],
]

test('a range comes in any order', async t => {
  const db = await filled(t)
  const snapshot = db.snapshot()
  await db.delete({ all: true })
  for (const [sort, expected] of orders) {
    const said = JSON.stringify(sort)
    assert.equal(text(await snapshot.range({ sort }).collect()), expected, said)
    assert.equal(text(await db.range({ sort, revision: 6 }).collect()), expected, said)
    const keys = await snapshot.keys({ sort, limit: 2 }).collect()
    assert.deepEqual(keys, { entries: [...expected].slice(0, 2), more: true }, said)
    const { entries } = await snapshot.range({ sort, keysOnly: true }).collect()
    assert.equal(text({ entries }), expected, said)
    assert.equal('value' in entries[0], false)
  }
  snapshot.close()
})

test('a sorted range of many batches is of one moment', async t => {
  const db = await open({ storage: 'memory' })
  t.after(() => db.close())
  for (let i = 0; i < 1000; i += 1) await db.put(`k${i}`, String((i * 7) % 1000).padStart(4, '0'))
  const seen = []
  for await (const { value } of db.range({ sort: { by: 'value', order: 'descending' } })) {
    if (seen.length === 0) await db.delete({ all: true })
    seen.push(value)
  }
  assert.deepEqual(
    seen,
    Array.from({ length: 1000 }, (_, i) => String(999 - i).padStart(4, '0')),
  )
})

test('a range has bounds on revisions', async t => {
  const db = await filled(t)
  const cases = [
    [{ minModRevision: 5 }, 'ac'],
    [{ maxModRevision: 5 }, 'ab'],
    [{ minModRevision: 5, maxModRevision: 5 }, 'a'],
    [{ minCreateRevision: 3 }, 'ac'],
    [{ maxCreateRevision: 3 }, 'bc'],
    [{ minCreateRevision: 9 }, ''],
    [{ minModRevision: 0, maxModRevision: 0 }, 'abc'],
    [{ maxCreateRevision: 3, sort: { by: 'modRevision', order: 'descending' } }, 'cb'],
    [{ maxModRevision: 5, limit: 1 }, 'a'],
    [{ prefix: 'b', minModRevision: 3 }, ''],
  ]
  for (const [options, expected] of cases) {
    const said = JSON.stringify(options)
    const page = await db.range({ ...options, withCount: true }).collect()
    assert.equal(text(page), expected, said)
    assert.equal(page.count, options.prefix === undefined ? 3 : 1, said)
    assert.equal(page.more, options.limit !== undefined, said)
    assert.deepEqual((await db.keys(options).collect()).entries.join(''), expected, said)
  }
})

test('bounds hold over many batches', async t => {
  const db = await open({ storage: 'memory' })
  t.after(() => db.close())
  for (let i = 0; i < 2000; i += 1) await db.put(`k${String(i).padStart(4, '0')}`, '')
  for (let i = 0; i < 2000; i += 3) await db.put(`k${String(i).padStart(4, '0')}`, '')
  const { entries } = await db.keys({ prefix: 'k', minModRevision: 2002, to: undefined }).collect()
  assert.equal(entries.length, 667)
  assert.deepEqual(entries.slice(0, 2), ['k0000', 'k0003'])
  const some = await db.keys({ from: 'k0100', to: 'k0200', minModRevision: 2002, limit: 30 }).collect()
  assert.deepEqual([some.entries.length, some.more], [30, true])
})

test('a count comes with a page, of the same moment', async t => {
  const db = await filled(t)
  assert.deepEqual(await db.keys({ limit: 1, withCount: true }).collect(), {
    entries: ['a'],
    more: true,
    count: 3,
  })
  assert.deepEqual(await db.keys({ limit: 0, withCount: true }).collect(), {
    entries: [],
    more: true,
    count: 3,
  })
  assert.equal((await db.keys({ limit: 4294967295 }).collect()).more, false)
  const past = db.snapshot({ revision: 3 })
  assert.equal((await past.range({ withCount: true }).collect()).count, 2)
  assert.equal(await past.count(), 2)
  past.close()
  const gone = await refusal(() => past.range({ withCount: true }).collect())
  assert.equal(gone.code, 'CLOSED')
})

test('automatic compaction is asked for, changed and switched off', async t => {
  const db = await filled(t, { autoCompaction: { periodic: 100 } })
  // After a whole period, to what was the newest revision a period ago.
  for (let i = 0; i < 1000 && (await db.status()).compacted !== 6; i += 1)
    await new Promise(resolve => setTimeout(resolve, 10))
  assert.equal((await db.status()).compacted, 6)
  assert.equal(db.compaction.revision, 6)
  await db.compaction.done
  await db.setAutoCompaction('off')
  await db.put('a', 'x')
  await new Promise(resolve => setTimeout(resolve, 250))
  assert.equal((await db.status()).compacted, 6)
  await db.setAutoCompaction({ revisions: 5 })
  await db.setAutoCompaction({ periodic: 0 })
})

test('a quota refuses what grows, and space comes back', async t => {
  const db = await open({ storage: 'memory', quotaBytes: 200_000, pageBytes: 4096 })
  t.after(() => db.close())
  const value = 'v'.repeat(10_000)
  const full = await refusal(async () => {
    while (true) await db.put('k', value)
  })
  assert.equal(full.code, 'NO_SPACE')
  // An eighth is not for puts.
  assert.ok(full.used > 100_000 && full.used + full.needed >= (full.quota / 8) * 7, JSON.stringify(full))
  assert.equal(full.quota, 200_000)
  assert.ok(full.needed > 10_000)
  const status = await db.status()
  assert.deepEqual([status.quotaBytes, status.isOutOfSpace], [200_000, true])
  assert.equal(await db.get('k'), value)
  await (await db.compact(db.revision)).done
  assert.equal((await db.status()).isOutOfSpace, false)
  await db.put('k', value)
  await db.setQuota(1)
  assert.equal((await refusal(() => db.put('k', ''))).code, 'NO_SPACE')
  assert.equal((await refusal(() => db.grantLease(10_000))).code, 'NO_SPACE')
  await db.delete('k')
  await db.setQuota(undefined)
  await db.put('k', '')
  assert.equal((await db.status()).quotaBytes, undefined)
})

test('the hash of the history is etcd’s', async t => {
  const db = await open({ storage: 'memory' })
  t.after(() => db.close())
  for (const key of ['a', 'b', 'c']) await db.put(key, '1')
  await db.delete('a')
  await db.put('d', '1')
  const hashes = [2587454935, 2143169314, 3870129361, 453518659, 4242640439]
  for (const [at, hash] of hashes.entries())
    assert.deepEqual(await db.hashKv(at + 2), { hash, compacted: undefined, revision: at + 2 })
  assert.equal((await db.hashKv()).hash, hashes[4])
  await db.compact(5)
  assert.deepEqual(await db.hashKv(5), { hash: 3757344854, compacted: 5, revision: 5 })
  assert.deepEqual(await db.hashKv(0), { hash: 870692441, compacted: 5, revision: 6 })
  assert.equal((await refusal(() => db.hashKv(4))).code, 'COMPACTED')
  assert.equal((await refusal(() => db.hashKv(7))).code, 'FUTURE_REVISION')
})

/** `[call, what the message says]`, all of them refused with `INVALID_ARGUMENT` */
const refused = [
  [db => db.put('a', 'x', { lease: 0 }), /lease must be a whole number from 1/],
  [db => db.put('a', 'x', { lease: '7' }), /lease must be/],
  [db => db.put('a', 'x', { lease: 1, keepLease: true }), /keeps the key's lease/],
  [db => db.put('a', 'x', { keepLease: 1 }), /keepLease must be true or false/],
  [db => db.put('a', 'x', { keepValue: true }), /undefined as value, not "x"/],
  [db => db.put('a', undefined), /must be a string, not undefined/],
  [db => db.put('a', 'x', { prevKv: true }), /no option "prevKv"/],
  [db => db.delete('a', { previous: 'yes' }), /previous must be true or false/],
  [db => db.range({ sort: 'key' }), /options must be an object, not "key"/],
  [db => db.range({ sort: null }), /options must be an object, not null/],
  [db => db.range({ sort: {} }), /sort must be an object that says what to sort by/],
  [db => db.range({ sort: { by: 'size' } }), /by must be 'key' or/],
  [db => db.range({ sort: { by: 'key', order: 'up' } }), /order must be 'ascending' or 'descending'/],
  [db => db.range({ sort: { by: 'key', ordre: 'ascending' } }), /no option "ordre"/],
  [db => db.range({ minModRevision: -1 }), /minModRevision must be/],
  [db => db.range({ maxCreateRevision: 1.5 }), /maxCreateRevision must be/],
  [db => db.keys({ withCount: 'yes' }), /withCount must be/],
  [db => db.rangeSync({ keysOnly: 1 }), /keysOnly must be/],
  [db => db.count({ limit: 5 }), /no option "limit"/],
  [db => db.setQuota(0), /quotaBytes must be a whole number from 1/],
  [db => db.setQuota('1'), /quotaBytes must be/],
  [db => db.setAutoCompaction(), /autoCompaction must be 'off'/],
  [db => db.setAutoCompaction(null), /autoCompaction must be 'off'/],
  [db => db.setAutoCompaction('on'), /autoCompaction must be 'off'.*"on"/],
  [db => db.setAutoCompaction({}), /one of/],
  [db => db.setAutoCompaction({ periodic: -1 }), /periodic must be a duration/],
  [db => db.setAutoCompaction({ revisions: 1.5 }), /revisions must be a whole/],
  [db => db.setAutoCompaction({ hours: 1 }), /no option "hours"/],
  [db => db.hashKv(-1), /a revision must be/],
  [() => open({ storage: 'memory', quotaBytes: -1 }), /quotaBytes must be/],
  [() => open({ storage: 'memory', autoCompaction: { revision: 5 } }), /no option "revision"/],
]

for (const [call, says] of refused) {
  test(`refused: ${call}`, async t => {
    const db = await filled(t)
    const error = await refusal(() => call(db))
    assert.equal(error.code, 'INVALID_ARGUMENT')
    assert.match(error.message, says)
    assert.equal(db.revision, 6)
  })
}

test('a lease that there is not is no lease to put with', async t => {
  const db = await filled(t)
  const error = await refusal(() => db.put('a', 'x', { lease: 12345 }))
  assert.deepEqual([error.code, error.lease], ['LEASE_NOT_FOUND', 12345])
  assert.equal(db.revision, 6)
})
