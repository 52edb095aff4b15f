// Transactions: conditions, branches, answers.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compare, del, get, open, put } from 'palimpsest-kv'
import { contents } from './support/help.mjs'

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
        entries: [{ key: 'a', value: '1', createRevision: 2, modRevision: 2, version: 1 }],
        more: false,
      },
      { type: 'put' },
      { type: 'delete', deleted: 1 },
      {
        type: 'get',
        entries: [{ key: 'a', value: '5', createRevision: 2, modRevision: 3, version: 2 }],
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
