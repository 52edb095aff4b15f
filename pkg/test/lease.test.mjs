// Leases: keys that live as long as somebody cares.
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { open } from 'palimpsest-kv'
import { freshFolder, inProcess, refusal, staysAlive } from './support/help.mjs'

async function fresh(t, options = {}) {
  const db = await open({ storage: 'memory', ...options })
  t.after(() => db.close())
  staysAlive(t)
  return db
}

test('a lease is granted, looked at, kept alive and revoked', async t => {
  const db = await fresh(t)
  assert.deepEqual(await db.grantLease(29_500, { id: 77 }), { id: 77, ttl: 30_000, revision: 1 })
  assert.deepEqual(await db.grantLease(0, { id: 5 }), { id: 5, ttl: 2000, revision: 1 })
  const { id } = await db.grantLease(3_600_000)
  assert.ok(Number.isSafeInteger(id) && id > 0, `${id}`)
  assert.deepEqual(
    await db.leases(),
    [5, 77, id].sort((one, other) => one - other),
  )
  await db.put('b', '1', { lease: 77 })
  await db.put('a', '2', { lease: 77 })
  await db.put('c', '3', { lease: 77 })
  await db.put('c', '4')
  assert.deepEqual(await db.leaseKeys(77), ['a', 'b'])
  assert.deepEqual(await db.leaseKeys(77, { keys: 'bytes' }), [Uint8Array.of(97), Uint8Array.of(98)])
  assert.deepEqual(await db.leaseKeys(1234), [])
  await pause(30)
  const { remaining, ...status } = await db.lease(77)
  assert.deepEqual(status, { id: 77, ttl: 30_000, keys: 2 })
  assert.ok(remaining > 20_000 && remaining < 30_000, `${remaining} ms`)
  assert.deepEqual(await db.keepAlive(77), { ttl: 30_000 })
  assert.ok((await db.lease(77)).remaining > remaining)
  assert.equal((await db.status()).leases, 3)
  assert.deepEqual(await db.revokeLease(77), { revision: 6, deleted: 2 })
  assert.deepEqual((await db.keys().collect()).entries, ['c'])
  assert.equal(await db.get('a', { revision: 5 }), '2')
  assert.equal(await db.lease(77), undefined)
  assert.deepEqual(await db.revokeLease(5), { revision: 6, deleted: 0 })
  await db.check()
})

test('a lease that ends takes its keys with it, in one revision, by itself', async t => {
  const db = await fresh(t)
  const watch = db.watch({ prefix: 'worker/' }, { puts: false })
  const began = performance.now()
  const { id } = await db.grantLease(3000)
  const other = await db.grantLease(3000)
  const long = await db.grantLease(40 * 24 * 3_600_000)
  for (const [key, lease] of [
    ['worker/1', id],
    ['worker/2', id],
    ['worker/3', other.id],
    ['worker/4', long.id],
  ])
    await db.put(key, 'alive', { lease })
  await pause(1500)
  await db.keepAlive(other.id)
  const { value: batch } = await watch.next()
  const took = performance.now() - began
  assert.ok(took > 2900, `${took} ms`)
  assert.deepEqual(
    batch.events.map(({ type, key, modRevision }) => [type, key, modRevision]),
    [
      ['delete', 'worker/1', 6],
      ['delete', 'worker/2', 6],
    ],
  )
  assert.equal(db.revision, 6)
  assert.deepEqual((await db.leases()).length, 2)
  const { value: next } = await watch.next()
  assert.ok(performance.now() - began > 4400)
  assert.deepEqual(
    next.events.map(event => event.key),
    ['worker/3'],
  )
  assert.equal(await db.get('worker/4'), 'alive')
  await watch.return()
})

test('leases outlive their store’s closing, and time that is over stays over', async t => {
  const storage = { file: join(freshFolder(t), 'store.plm') }
  const before = await open({ storage })
  const { id } = await before.grantLease(60_000)
  await before.put('k', 'v', { lease: id })
  await pause(60)
  await before.close()
  const db = await open({ storage })
  t.after(() => db.close())
  const { remaining, ...status } = await db.lease(id)
  assert.deepEqual(status, { id, ttl: 60_000, keys: 1 })
  assert.ok(remaining < 60_000 - 30, `${remaining} ms`)
  await db.keepAlive(id, { durability: 'relaxed' })
  assert.deepEqual(await db.revokeLease(id), { revision: 3, deleted: 1 })
})

test('a granted lease is durable when that is said', async t => {
  const file = join(freshFolder(t), 'store.plm')
  const source = `
    import { open } from 'palimpsest-kv'
    const db = await open({ storage: { file: process.argv[1] }, flushInterval: 1e6 })
    const lease = await db.grantLease(60_000, { id: 7 })
    console.log(lease.id)
    process.kill(process.pid, 'SIGKILL')`
  const { stdout } = await inProcess(source, { args: [file] })
  assert.equal(stdout.trim(), '7')
  const db = await open({ storage: { file } })
  t.after(() => db.close())
  assert.deepEqual(await db.leases(), [7])
})

test('a lease does not keep a program alive', async () => {
  const source = `
    import { open } from 'palimpsest-kv'
    const db = await open({ storage: 'memory' })
    await db.grantLease(60_000)
    await db.grantLease(90 * 24 * 3_600_000)
    console.log('granted')`
  const began = performance.now()
  const { code, stdout, stderr } = await inProcess(source)
  assert.deepEqual([code, stdout.trim(), stderr], [0, 'granted', ''])
  assert.ok(performance.now() - began < 20_000)
})

/** `[call, code, what the message says, fields]` */
const refused = [
  [db => db.grantLease(5000, { id: 1 }), 'LEASE_EXISTS', /a lease 1 already/, { lease: 1 }],
  [db => db.revokeLease(2), 'LEASE_NOT_FOUND', /no lease 2/, { lease: 2 }],
  [db => db.keepAlive(2), 'LEASE_NOT_FOUND', /no lease 2/, { lease: 2 }],
  [
    db => db.grantLease(9e12 + 1),
    'LEASE_TTL_TOO_LARGE',
    /9000000001 seconds.*9000000000/,
    { seconds: 9_000_000_001, limit: 9_000_000_000 },
  ],
  [db => db.grantLease(), 'INVALID_ARGUMENT', /lease's time must be a duration.*undefined/],
  [db => db.grantLease(-1), 'INVALID_ARGUMENT', /-1/],
  [db => db.grantLease(Number.NaN), 'INVALID_ARGUMENT', /NaN/],
  [db => db.grantLease(Infinity), 'INVALID_ARGUMENT', /Infinity/],
  [db => db.grantLease('5s'), 'INVALID_ARGUMENT', /"5s"/],
  [db => db.grantLease(5000, { id: 0 }), 'INVALID_ARGUMENT', /id must be a whole number from 1/],
  [db => db.grantLease(5000, { id: 2 ** 53 }), 'INVALID_ARGUMENT', /id must be/],
  [db => db.grantLease(5000, { ttl: 5 }), 'INVALID_ARGUMENT', /no option "ttl"/],
  [db => db.grantLease(5000, 7), 'INVALID_ARGUMENT', /options must be an object/],
  [db => db.revokeLease(), 'INVALID_ARGUMENT', /number must be.*undefined/],
  [db => db.revokeLease(0), 'INVALID_ARGUMENT', /number must be/],
  [db => db.keepAlive(1.5), 'INVALID_ARGUMENT', /1.5/],
  [db => db.lease('1'), 'INVALID_ARGUMENT', /"1"/],
  [db => db.leaseKeys(1, { values: 'utf8' }), 'INVALID_ARGUMENT', /no option "values"/],
]

for (const [call, code, says, fields = {}] of refused) {
  test(`refused: ${call}`, async t => {
    const db = await fresh(t)
    await db.grantLease(60_000, { id: 1 })
    const error = await refusal(() => call(db))
    assert.equal(error.code, code)
    assert.match(error.message, says)
    for (const [name, value] of Object.entries(fields)) assert.equal(error[name], value, name)
    assert.deepEqual(await db.leases(), [1])
  })
}

test('leases of a closed store', async () => {
  const db = await open({ storage: 'memory' })
  await db.close()
  for (const call of [() => db.grantLease(1), () => db.leases(), () => db.lease(1), () => db.keepAlive(1)])
    assert.equal((await refusal(call)).code, 'CLOSED')
})
