// Transactions: conditions, branches, answers.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compare, del, get, open, put } from 'palimpsest-kv'
import { contents, refusal } from './support/help.mjs'

async function filled(t, options = {}) {
  const db = await open({ storage: 'memory', ...options })
  t.after(() => db.close())
  await db.put('a', '1')
  await db.put('a', '5')
  await db.put('b', '7')
  return db
}

test('conditions hold or fail as they say', async t => {
  const db = await filled(t)
  // `a` has version 2, was created at 2 and changed at 3, and is "5"; `x` does not exist.
  const cases = [
    [db.compare('a').version.equals(2), true],
    [db.compare('a').version.notEquals(2), false],
    [db.compare('a').version.lessThan(3), true],
    [db.compare('a').version.greaterThan(2), false],
    [db.compare('x').version.equals(0), true],
    [db.compare('a').createRevision.equals(2), true],
    [db.compare('x').createRevision.lessThan(1), true],
    [db.compare('a').modRevision.equals(3), true],
    [db.compare('a').modRevision.greaterThan(3), false],
    [db.compare('a').value.equals('5'), true],
    [db.compare('a').value.lessThan('50'), true],
    [db.compare('a').value.greaterThan('6'), false],
    [db.compare('x').value.notEquals('5'), false],
    [compare('a').value.equals('5'), true],
    [db.compare({ prefix: '' }).version.greaterThan(0), true],
    [db.compare({ from: 'a', to: 'c' }).version.equals(2), false],
    [db.compare({ prefix: 'zz' }).version.equals(9), false],
    [db.compare({ prefix: 'zz' }).version.equals(0), true],
  ]
  for (const [condition, expected] of cases) {
    const { succeeded, results } = await db.txn().if(condition).then(get('a')).else(get('b')).commit()
    assert.equal(succeeded, expected, JSON.stringify(condition))
    assert.equal(results[0].entries[0].key, expected ? 'a' : 'b')
  }
  const both = await db.txn().if(cases[0][0], cases[1][0]).then(put('no', '')).else(put('yes', '')).commit()
  assert.equal(both.succeeded, false)
  assert.deepEqual([await db.get('no'), await db.get('yes')], [undefined, ''])
})

test('a transaction is one revision, and its reads see its writes', async t => {
  const db = await filled(t)
  const answer = await db
    .txn()
    .then(
      get('a', { revision: 2 }),
      put('c', '1'),
      del({ prefix: 'b' }),
      get({ from: 'a' }, { limit: 1 }),
      get('b'),
    )
    .commit()
  assert.deepEqual(answer, {
    succeeded: true,
    revision: 5,
    results: [
      {
        type: 'get',
        entries: [{ key: 'a', value: '1', createRevision: 2, modRevision: 2, version: 1, lease: undefined }],
        more: false,
      },
      { type: 'put' },
      { type: 'delete', deleted: 1 },
      {
        type: 'get',
        entries: [{ key: 'a', value: '5', createRevision: 2, modRevision: 3, version: 2, lease: undefined }],
        more: true,
      },
      { type: 'get', entries: [], more: false },
    ],
  })
  assert.deepEqual(await contents(db), [
    ['a', '5'],
    ['c', '1'],
  ])
})

test('a transaction that changes nothing makes no revision', async t => {
  const db = await filled(t)
  const before = db.revision
  for (const txn of [
    db.txn(),
    db.txn().then(get('a')),
    db.txn().then(del('x')),
    db.txn().if(db.compare('a').version.equals(9)).then(put('q', 'q')),
  ]) {
    assert.equal((await txn.commit()).revision, before)
  }
  assert.equal(db.revision, before)
})

test('a transaction is a description that can be committed again', async t => {
  const db = await filled(t)
  const txn = db.txn().if(db.compare('n').version.lessThan(2)).then(put('n', 'x')).else(get('n'))
  assert.deepEqual(
    [await txn.commit(), await txn.commit(), await txn.commit()].map(answer => answer.succeeded),
    [true, true, false],
  )
})

test('values of a transaction are encoded by the store’s codec', async t => {
  const db = await open({ storage: 'memory', values: 'json', keys: 'bytes' })
  t.after(() => db.close())
  await db.put('k', { n: 1 })
  const answer = await db
    .txn()
    .if(db.compare('k').value.equals({ n: 1 }))
    .then(put('k', [2]), get('k'))
    .commit()
  assert.equal(answer.succeeded, true)
  assert.deepEqual(answer.results[1].entries[0].value, [2])
  assert.deepEqual(answer.results[1].entries[0].key, Uint8Array.from([107]))
})

test('a large transaction', async t => {
  const db = await filled(t, { maxTxnOps: 5000 })
  const ops = Array.from({ length: 5000 }, (_, i) => put(`many/${i}`, 'v'.repeat(100)))
  assert.equal(
    (
      await db
        .txn()
        .then(...ops)
        .commit()
    ).revision,
    5,
  )
  assert.equal(await db.count({ prefix: 'many/' }), 5000)
})

test('conditions on leases', async t => {
  const db = await filled(t)
  const { id } = await db.grantLease(60_000)
  await db.put('l', 'x', { lease: id })
  const cases = [
    [db.compare('l').lease.equals(id), true],
    [db.compare('l').lease.notEquals(id), false],
    [db.compare('a').lease.equals(0), true],
    [db.compare('x').lease.equals(0), true],
    [db.compare({ all: true }).lease.equals(0), false],
    [db.compare('l').lease.greaterThan(0), true],
    [db.compare('l').lease.lessThan(id), false],
  ]
  for (const [condition, expected] of cases) {
    const { succeeded } = await db.txn().if(condition).commit()
    assert.equal(succeeded, expected, JSON.stringify(condition))
  }
})

test('operations answer with what was there, in their order', async t => {
  const db = await filled(t)
  const { id } = await db.grantLease(60_000)
  const [a, b] = (await db.range().collect()).entries
  const answer = await db
    .txn()
    .then(
      put('a', '6', { previous: true, lease: id }),
      put('new', 'x', { previous: true }),
      del('b', { previous: true }),
      del('none', { previous: true }),
      get({ all: true }, { sort: { by: 'key', order: 'descending' }, limit: 1, withCount: true }),
      get({ all: true }, { keysOnly: true, minModRevision: 5 }),
      get({ all: true }, { countOnly: true }),
      get('a', { revision: 2 }),
    )
    .commit()
  const fresh = { createRevision: 5, modRevision: 5, version: 1, lease: undefined }
  assert.deepEqual(answer.results, [
    { type: 'put', previous: a },
    { type: 'put' },
    { type: 'delete', deleted: 1, previous: [b] },
    { type: 'delete', deleted: 0, previous: [] },
    { type: 'get', entries: [{ key: 'new', value: 'x', ...fresh }], more: true, count: 2 },
    {
      type: 'keys',
      entries: [
        { key: 'a', createRevision: 2, modRevision: 5, version: 3, lease: id },
        { key: 'new', ...fresh },
      ],
      more: false,
    },
    { type: 'get', entries: [], more: false, count: 2 },
    {
      type: 'get',
      entries: [{ key: 'a', value: '1', createRevision: 2, modRevision: 2, version: 1, lease: undefined }],
      more: false,
    },
  ])
  const kept = await db
    .txn()
    .then(put('a', undefined, { keepValue: true, keepLease: true }))
    .commit()
  assert.deepEqual(kept.results, [{ type: 'put' }])
  const { value, lease } = await db.getEntry('a')
  assert.deepEqual([value, lease], ['6', id])
})

test('a transaction within a transaction', async t => {
  const db = await filled(t)
  const inner = db
    .txn()
    .if(db.compare('c').version.equals(0))
    .then(put('d', 'inner'), get({ from: 'c' }, { keysOnly: true }))
    .else(put('e', 'no'))
  const deepest = db
    .txn()
    .if(db.compare('a').version.equals(9))
    .else(del('a', { previous: true }))
  const outer = db.txn().then(put('c', 'outer'), inner, db.txn().then(deepest), get('a')).else(inner)
  // What is added to it later is no part of what stands in another one.
  inner.then(put('late', ''))
  const answer = await outer.commit()
  assert.equal(answer.revision, 5)
  const [first, second, third, last] = answer.results
  assert.deepEqual([first, last], [{ type: 'put' }, { type: 'get', entries: [], more: false }])
  const { results, ...head } = second
  // Its condition sees the state before the outer transaction, its read what that has written.
  assert.deepEqual(head, { type: 'txn', succeeded: true, revision: 5 })
  assert.deepEqual(results[0], { type: 'put' })
  assert.deepEqual(
    results[1].entries.map(entry => entry.key),
    ['c', 'd'],
  )
  assert.equal(third.results[0].succeeded, false)
  assert.deepEqual(third.results[0].results[0].previous[0].value, '5')
  assert.deepEqual(
    (await contents(db)).map(([key]) => key),
    ['b', 'c', 'd'],
  )
})

test('transactions stand in each other only so deep', async t => {
  const db = await filled(t, { maxTxnOps: 1000 })
  let txn = db.txn().then(put('deep', ''))
  const error = await refusal(() => {
    for (let depth = 0; depth < 100_000; depth += 1) txn = db.txn().then(txn)
  })
  assert.deepEqual([error.code, error.operations, error.limit], ['TOO_MANY_OPERATIONS', 129, 128])
  txn = db.txn().then(put('deep', ''))
  for (let depth = 0; depth < 100; depth += 1) txn = db.txn().then(txn)
  await txn.commit()
  assert.equal(await db.get('deep'), '')
  // A transaction within itself is a copy of it.
  const itself = db.txn().then(get('a'))
  assert.equal((await itself.then(itself).commit()).results[1].results.length, 1)
  const many = await refusal(() =>
    db
      .txn()
      .then(...Array(3).fill(db.txn().then(...Array(999).fill(get('a')))))
      .commit(),
  )
  assert.equal(many.code, 'TOO_MANY_OPERATIONS')
})

/** `[what is built or committed, code, what the message says]` */
const refused = [
  [
    db =>
      db
        .txn()
        .then(db.txn().then(put('k', '1')), put('k', '2'))
        .commit(),
    'DUPLICATE_KEY',
    /"k"/,
  ],
  [
    db =>
      db
        .txn()
        .then(put('k', '', { keepLease: true }))
        .commit(),
    'KEY_NOT_FOUND',
    /"k"/,
  ],
  [
    db =>
      db
        .txn()
        .then(put('k', '', { lease: 99 }))
        .commit(),
    'LEASE_NOT_FOUND',
    /99/,
  ],
  [() => put('k', 'x', { keepValue: true }), 'INVALID_ARGUMENT', /undefined as value/],
  [() => put('k', 'x', { keepLease: true, lease: 1 }), 'INVALID_ARGUMENT', /keeps the key's lease/],
  [() => put('k', 'x', { values: 'json' }), 'INVALID_ARGUMENT', /no option "values"/],
  [() => del('k', { prevKv: true }), 'INVALID_ARGUMENT', /no option "prevKv"/],
  [() => get('k', { countOnly: 1 }), 'INVALID_ARGUMENT', /countOnly must be true or false/],
  [() => get('k', { sort: { by: 'x' } }), 'INVALID_ARGUMENT', /by must be/],
  [db => db.txn().if(db.compare('k').lease.equals(-1)).commit(), 'INVALID_ARGUMENT', /lease's number/],
  [async db => db.txn().then(await db.txn().commit()), 'INVALID_ARGUMENT', /put, get, del or txn/],
]

for (const [call, code, says] of refused) {
  test(`refused: ${call}`, async t => {
    const db = await filled(t)
    const error = await refusal(() => call(db))
    assert.equal(error.code, code)
    assert.match(error.message, says)
    assert.equal(db.revision, 4)
  })
}
