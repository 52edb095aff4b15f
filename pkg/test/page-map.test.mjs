import assert from 'node:assert/strict'
import { test } from 'node:test'
import { open } from 'palimpsest-kv'

/** How many pages of each use there are. */
function counted({ names, kinds }) {
  const counts = Object.fromEntries(names.map(name => [name, 0]))
  for (const kind of kinds) counts[names[kind]] += 1
  return counts
}

test('the map of pages says what the status counts, through a compaction and a shrinking', async () => {
  const db = await open({ storage: 'memory', pageBytes: 512 })
  const states = []
  const note = async () => {
    const [map, status] = await Promise.all([db.pages(), db.status()])
    const counts = counted(map)
    assert.equal(map.kinds.length, Math.floor(status.fileBytes / status.pageBytes))
    assert.equal(map.usedBytes.length, map.kinds.length)
    assert.equal(counts.free, status.freePages)
    assert.equal(counts.pending, status.pendingPages)
    assert.equal(counts.meta, 2)
    map.kinds.forEach((kind, page) => {
      const isEmpty = map.names[kind] === 'free' || map.names[kind] === 'pending'
      assert.ok(map.usedBytes[page] <= (isEmpty ? 0 : status.pageBytes), `page ${page}`)
    })
    states.push({ ...counts, file: status.fileBytes })
  }
  for (let at = 0; at < 3000; at += 1) db.put(`key${at % 100}`, `value ${at}`)
  await db.put('long', 'x'.repeat(5000))
  await db.checkpoint()
  await note()
  const job = await db.compact(db.revision)
  await job.done
  await note()
  await db.shrink()
  for (let at = 0; at < 1000 && (await db.status()).isShrinking; at += 1)
    await new Promise(resolve => setTimeout(resolve, 5))
  await note()
  const [full, compacted, shrunk] = states
  assert.ok(full.leaf > 100 && full.branch > 0 && full.overflow >= 10 && full.freelist > 0)
  assert.ok(compacted.leaf < full.leaf / 3 && compacted.free > full.free + 50)
  assert.equal(compacted.file, full.file, 'compaction does not make it shorter')
  assert.ok(shrunk.file < full.file / 2, 'shrinking does')
  await db.close()
  await assert.rejects(db.pages(), { code: 'CLOSED' })
})
