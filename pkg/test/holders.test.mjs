import assert from 'node:assert/strict'
import { test } from 'node:test'
import { open } from 'palimpsest-kv'

const kinds = status => status.holders.map(({ kind }) => kind)

test('the status says who holds back what, and nothing when they are gone', async () => {
  const db = await open({ storage: 'memory' })
  await db.put('large', 'x'.repeat(100_000))
  const pinned = await db.pin('before')
  const watch = db.watch('large', { from: db.revision, hold: { revisions: 100 } })
  await watch.next()
  const snapshot = db.snapshot()
  const { revision } = snapshot
  await db.delete('large')
  const job = await db.compact(db.revision)
  await job.done
  const status = await db.status()
  assert.deepEqual(kinds(status), ['snapshot', 'pin', 'watch'])
  const [held, pin, watched] = status.holders
  assert.equal(held.revision, revision)
  assert.equal(held.count, 1)
  assert.equal(pin.name, 'before')
  assert.equal(pin.revision, pinned.revision)
  assert.ok(watched.revision >= revision && watched.bytes >= 0)
  snapshot.close()
  await watch.return()
  await db.unpin('before')
  assert.deepEqual((await db.status()).holders, [])
  await db.close()
})
