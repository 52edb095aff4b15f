// Storages of one's own, and what happens when they fail.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { open } from 'palimpsest-kv'
import { contents, Medium, refusal } from './support/help.mjs'

const kinds = { strict: 'write', relaxed: 'flush' }

test('a store in a storage of one’s own is there when it is opened again', async () => {
  const storage = new Medium()
  let closed = 0
  storage.close = () => (closed += 1)
  const db = await open({ storage })
  assert.deepEqual(db.storage, { kind: 'custom', persistent: undefined })
  for (let i = 0; i < 500; i += 1) await db.put(`k${i}`, 'v'.repeat(i * 10))
  const expected = await contents(db)
  await db.close()
  assert.equal(closed, 1)
  const again = await open({ storage })
  assert.deepEqual([again.revision, again.durableRevision], [501, 501])
  assert.deepEqual(await contents(again), expected)
  await again.close()
  assert.equal(closed, 2)
})

test('a write is durable when its promise is fulfilled, or later', async () => {
  for (const durability of Object.keys(kinds)) {
    const storage = new Medium()
    const db = await open({ storage, durability })
    storage.calls.length = 0
    await db.put('a', '1')
    assert.equal(storage.calls.includes('sync'), durability === 'strict', durability)
    await db.flush()
    assert.ok(storage.calls.includes('sync'))
    const copy = new Medium()
    copy.bytes = storage.bytes.slice()
    const other = await open({ storage: copy })
    assert.equal(await other.get('a'), '1')
    await Promise.all([db.close(), other.close()])
  }
})

const failures = [
  [
    'an exception',
    () => {
      throw new Error('the disk is on fire')
    },
    /the disk is on fire/,
  ],
  [
    'an exception that is no error',
    () => {
      throw 'smoke'
    },
    /smoke/,
  ],
]

for (const [what, fail, says] of failures) {
  for (const operation of ['write', 'sync']) {
    test(`${what} in ${operation} reaches the caller, and the store refuses to write`, async t => {
      const storage = new Medium()
      const db = await open({ storage })
      t.after(() => refusal(() => db.close()))
      await db.put('a', '1')
      storage.before = name => (name === operation ? fail() : undefined)
      const error = await refusal(() => db.put('b', '2'))
      assert.equal(error.code, 'STORAGE')
      assert.match(error.message, says)
      assert.equal(error.operation, operation)
      storage.before = () => undefined
      for (const call of [
        () => db.put('c', '3'),
        () => db.delete('a'),
        () => db.flush(),
        () => db.compact(2),
      ]) {
        const refused = await refusal(call)
        assert.equal(refused.code, 'WRITES_REFUSED')
        assert.match(refused.reason, says)
      }
      assert.equal(await db.get('a'), '1')
      const copy = new Medium()
      copy.bytes = storage.bytes.slice()
      const again = await open({ storage: copy })
      assert.equal(await again.get('a'), '1')
      await again.put('d', '4')
      await again.close()
    })
  }
}

for (const [count, says] of [
  [n => n - 1, /of \d+ bytes/],
  [() => 0, /0 of/],
  [() => undefined, /undefined/],
  [() => '5', /"5"/],
  [n => n + 1, /of \d+ bytes/],
]) {
  for (const operation of ['read', 'write']) {
    test(`a ${operation} that answers ${count} is a failure`, async () => {
      const storage = new Medium()
      await (await open({ storage })).close()
      const original = storage[operation].bind(storage)
      storage[operation] = (offset, buffer) => count(original(offset, buffer))
      const error = await refusal(async () => {
        const db = await open({ storage })
        try {
          await db.put('a', '1')
        } finally {
          await db.close().catch(() => {})
        }
      })
      assert.equal(error.code, 'STORAGE')
      assert.match(error.message, says)
    })
  }
}

for (const length of [-1, 1.5, '512', undefined]) {
  test(`a length of ${JSON.stringify(length)} is a failure`, async () => {
    const storage = new Medium()
    storage.length = () => length
    assert.equal((await refusal(() => open({ storage }))).code, 'STORAGE')
  })
}

test('a storage that could not be opened is closed', async () => {
  const storage = new Medium()
  let closed = 0
  storage.close = () => (closed += 1)
  storage.bytes = new TextEncoder().encode('no store at all '.repeat(1000))
  const error = await refusal(() => open({ storage }))
  assert.equal(error.code, 'NOT_A_STORE')
  assert.equal(closed, 1)
  assert.ok(
    storage.bytes.every((byte, i) => byte === 'no store at all '.charCodeAt(i % 16)),
    'nothing was overwritten',
  )
})

test('a storage that calls its own store gets an error, and the store goes on', async t => {
  const storage = new Medium()
  const db = await open({ storage })
  t.after(() => db.close())
  const other = await open({ storage: new Medium() })
  t.after(() => other.close())
  const seen = []
  storage.before = operation => {
    if (operation !== 'write') return
    for (const call of [() => db.getSync('a'), () => db.revision, () => db.snapshot()]) {
      try {
        seen.push(call())
      } catch (error) {
        seen.push(error.code)
      }
    }
    seen.push(other.getSync('nothing') ?? 'another store works')
    storage.before = () => undefined
  }
  await db.put('a', '1')
  assert.deepEqual(seen, ['BUSY', 'BUSY', 'BUSY', 'another store works'])
  assert.equal(await db.get('a'), '1')
})

function failing(storage) {
  storage.before = operation => {
    if (operation === 'write' || operation === 'sync') throw new Error('the disk is full')
  }
}

async function later(isTrue) {
  for (let i = 0; i < 400 && !isTrue(); i += 1) await new Promise(resolve => setTimeout(resolve, 5))
}

test('a failure in the background is told to onError, once', async t => {
  const storage = new Medium()
  const errors = []
  const db = await open({
    storage,
    durability: 'relaxed',
    flushInterval: 2,
    onError: error => errors.push(error),
  })
  t.after(() => refusal(() => db.close()))
  await db.put('a', '1')
  failing(storage)
  await later(() => errors.length > 0)
  assert.deepEqual(
    errors.map(error => [error.code, error.reason]),
    [['STORAGE', 'the disk is full']],
  )
  assert.equal((await refusal(() => db.put('b', '2'))).code, 'WRITES_REFUSED')
})

test('without onError a failure in the background rejects the next call that writes', async t => {
  const storage = new Medium()
  const db = await open({ storage, durability: 'relaxed', flushInterval: 2 })
  t.after(() => refusal(() => db.close()))
  await db.put('a', '1')
  storage.calls.length = 0
  failing(storage)
  await later(() => storage.calls.includes('write'))
  assert.equal(await db.get('a'), '1')
  const error = await refusal(() => db.put('b', '2'))
  assert.deepEqual([error.code, error.reason], ['STORAGE', 'the disk is full'])
  assert.equal((await refusal(() => db.put('b', '2'))).code, 'WRITES_REFUSED')
})

test('a failure in the background rejects the compaction that it ends', async t => {
  const storage = new Medium()
  const db = await open({ storage, compactionPause: 1, compactionBatchLimit: 10, onError: () => {} })
  t.after(() => refusal(() => db.close()))
  for (let i = 0; i < 100; i += 1) await db.put('a', String(i))
  const job = await db.compact(db.revision)
  failing(storage)
  const error = await refusal(() => job.done)
  assert.ok(['STORAGE', 'WRITES_REFUSED'].includes(error.code), error.code)
})

test('an unfinished compaction goes on when the store is opened again', async () => {
  const storage = new Medium()
  const db = await open({ storage, durability: 'relaxed', compactionPause: 10_000, compactionBatchLimit: 10 })
  for (let i = 0; i < 500; i += 1) await db.put(`k${i % 5}`, String(i))
  await db.compact(400)
  assert.equal((await db.status()).finished, undefined)
  // As after a crash: without closing.
  const copy = new Medium()
  copy.bytes = storage.bytes.slice()
  await db.close()
  const again = await open({ storage: copy, compactionPause: 0 })
  assert.equal((await refusal(() => again.get('k0', { revision: 399 }))).code, 'COMPACTED')
  const job = again.compaction
  assert.equal(job.revision, 400)
  const end = await job.done
  assert.deepEqual([end.finished, end.removed, end.total], [true, 394, 394])
  assert.equal((await again.status()).finished, 400)
  assert.equal((await again.status()).records, 501 - 1 - 394)
  await again.check()
  await again.close()
})
