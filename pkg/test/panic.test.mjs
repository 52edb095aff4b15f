// A panic of the engine: a broken invariant. The engine of this installation is built with the feature `panic-test`, with which
// a put of the key "panic-test" panics; the panic, its hook and the trap are the real ones.
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { open, put } from 'palimpsest-kv'
import { freshFolder, refusal } from './support/help.mjs'

test('after a panic every call on every store says what happened', async t => {
  const file = join(freshFolder(t), 'store.plm')
  const db = await open({ storage: { file } })
  const other = await open({ storage: 'memory' })
  await db.put('a', '1')
  const snapshot = db.snapshot()
  const watches = [db, other].map(store => store.watch('a'))
  const told = watches.map(watch => refusal(() => watch.next()))
  const resting = db.watch('a')
  const waiting = refusal(() => db.put('a', '2'))
  const first = await refusal(() => db.put('panic-test', 'x'))
  assert.equal(first.code, 'POISONED')
  assert.match(first.message, /broken down.*a broken invariant, as the test asked for/s)
  assert.match(first.message, /bindings\/src\/engine\.rs:\d+/)
  assert.deepEqual([(await waiting).code, (await waiting).message], ['POISONED', first.message])
  for (const error of [...(await Promise.all(told)), await refusal(() => resting.next())])
    assert.deepEqual([error.code, error.message], ['POISONED', first.message])
  await resting.return()
  const calls = [
    () => db.watch('a'),
    () => db.grantLease(2000),
    () => db.lease(7),
    () => db.setQuota(5),
    () => db.shrink(),
    () => db.pages(),
    () => db.hashKv(),
    () => db.put('b', '2'),
    () => db.get('a'),
    () => db.getSync('a'),
    () => db.delete('a'),
    () => db.range().collect(),
    () => [...db.rangeSync()],
    () => db.count(),
    () => db.txn().then(put('b', '2')).commit(),
    () => db.snapshot(),
    () => db.compact(2),
    () => db.status(),
    () => db.check(),
    () => db.flush(),
    () => db.revision,
    () => snapshot.get('a'),
    () => other.put('a', '1'),
    () => other.getSync('a'),
    () => other.close(),
    () => db.close(),
    () => open({ storage: 'memory' }),
    () => open({ storage: { file } }),
  ]
  for (const call of calls) {
    const error = await refusal(call)
    assert.deepEqual([error.code, error.message], ['POISONED', first.message], String(call))
  }
  snapshot.close()
  assert.equal(existsSync(`${file}.lock`), false, 'closing has given the file back all the same')
})
