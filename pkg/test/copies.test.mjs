// Copies of whole stores, and stores made of etcd's snapshots: all of it or nothing, from whatever gives bytes.
import assert from 'node:assert/strict'
import { createReadStream, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { importEtcdSnapshot, importStore, open } from 'palimpsest-kv'
import { contents, freshFolder, here, Medium, refusal } from './support/help.mjs'

const snapshot =
  process.env.PALIMPSEST_SNAPSHOT ?? join(here, '..', '..', 'tests', 'snapshots', 'etcd-3.4.23.db')

/** A store with history, a compaction, a lease and a long value. */
async function filled(options = { storage: 'memory' }) {
  const db = await open(options)
  const puts = Array.from({ length: 2000 }, (_, i) => db.put(`key${i % 300}`, `value ${i} ${'x'.repeat(50)}`))
  await Promise.all(puts)
  await db.delete({ prefix: 'key1' })
  await db.put('long', 'y'.repeat(300_000))
  const { id } = await db.grantLease(60_000, { id: 7 })
  await db.put('leased', 'z', { lease: id })
  await db.compact(1500)
  return db
}

async function bytesOf(source) {
  const chunks = []
  for await (const chunk of source) chunks.push(chunk)
  return joined(chunks)
}

function joined(chunks) {
  const bytes = new Uint8Array(chunks.reduce((length, chunk) => length + chunk.length, 0))
  let at = 0
  for (const chunk of chunks) {
    bytes.set(chunk, at)
    at += chunk.length
  }
  return bytes
}

async function assertSame(copy, db) {
  assert.equal(copy.revision, db.revision)
  assert.deepEqual(await contents(copy), await contents(db))
  assert.deepEqual(await contents(copy, { revision: 1600 }), await contents(db, { revision: 1600 }))
  assert.deepEqual(await copy.hashKv(), await db.hashKv())
  assert.deepEqual(await copy.leases(), await db.leases())
  await copy.check()
}

test('a copy has everything, however its bytes come', async () => {
  const db = await filled()
  // What was written has its time from now on, which is a part of what is copied.
  await db.revisionAt(new Date())
  const bytes = await bytesOf(db.export())
  async function* pieces() {
    for (let at = 0; at < bytes.length; at += 1000) yield bytes.subarray(at, at + 1000)
  }
  const sources = [
    bytes,
    [bytes.subarray(0, 5), bytes.subarray(5)],
    pieces(),
    new Blob([bytes]),
    new Blob([bytes]).stream(),
    { getReader: () => new Blob([bytes]).stream().getReader() },
    db.export(),
  ]
  for (const source of sources) {
    const copy = await importStore(source, { storage: 'memory' })
    await assertSame(copy, db)
    // But for the lease's time, which goes on, it gives the same bytes.
    assert.equal((await bytesOf(copy.export())).length, bytes.length)
    await copy.close()
  }
  await db.close()
})

test('a backup goes to a file and comes back from it', async t => {
  const folder = freshFolder(t)
  const db = await filled({ storage: { file: join(folder, 'store.plm') }, durability: 'relaxed' })
  await writeFile(join(folder, 'backup.plx'), db.export())
  const restored = join(folder, 'restored.plm')
  const copy = await importStore(createReadStream(join(folder, 'backup.plx')), {
    storage: { file: restored },
  })
  await assertSame(copy, db)
  await copy.put('after', 'that')
  await copy.close()
  const again = await open({ storage: { file: restored } })
  assert.equal(await again.get('after'), 'that')
  await again.close()
  const taken = await refusal(() => importStore(db.export(), { storage: { file: restored } }))
  assert.equal(taken.code, 'INVALID_ARGUMENT')
  await db.close()
})

test('an export is of one moment and is made as it is asked for', async () => {
  const db = await filled()
  // A lease's time goes on, and is a part of what is copied.
  await db.revokeLease(7)
  await db.revisionAt(new Date())
  const expected = await bytesOf(db.export())
  const { revision } = db
  const copy = db.export()
  const chunks = []
  for await (const chunk of copy) {
    assert.ok(chunk.length <= 70_000, `${chunk.length} bytes`)
    chunks.push(chunk)
    assert.equal(copy.revision, revision)
    await db.put(`key${chunks.length}`, 'other')
    await db.compact(db.revision)
  }
  assert.ok(chunks.length > 5)
  assert.deepEqual(joined(chunks), expected)
  assert.deepEqual(await copy.next(), { done: true, value: undefined })
  assert.equal((await db.status()).snapshots, 0, 'it holds nothing any more')
  await db.close()
})

test('who leaves an export gives back what it holds', async () => {
  const db = await filled()
  for await (const chunk of db.export()) {
    assert.ok(chunk.length > 0)
    break
  }
  const early = db.export()
  await early.return()
  assert.equal((await early.next()).done, true)
  assert.equal((await db.status()).snapshots, 0)
  const late = db.export()
  await late.next()
  await db.close()
  assert.equal((await refusal(() => late.next())).code, 'CLOSED')
})

test('signals end exports and imports', async () => {
  const db = await filled()
  const reason = new Error('enough')
  const controller = new AbortController()
  const copy = db.export({ signal: controller.signal })
  await copy.next()
  controller.abort(reason)
  await assert.rejects(copy.next(), reason)
  assert.equal((await copy.next()).done, true)
  assert.equal((await db.status()).snapshots, 0)
  const medium = new Medium()
  await assert.rejects(importStore(db.export(), { storage: medium, signal: controller.signal }), reason)
  async function* endless() {
    const late = new AbortController()
    options.signal = late.signal
    yield* db.export()
  }
  const options = { storage: medium }
  const done = await importStore(endless(), options)
  assert.equal(done.revision, db.revision)
  await done.close()
  await db.close()
})

test('a signal ends an import whose stream is stuck, and closes the stream', async () => {
  const controller = new AbortController()
  let cancelled = false
  // Nothing is asked of it before somebody reads.
  const stuck = new ReadableStream(
    {
      pull: () => new Promise(() => setTimeout(() => controller.abort(new Error('no patience')), 5)),
      cancel: () => {
        cancelled = true
      },
    },
    { highWaterMark: 0 },
  )
  await assert.rejects(importStore(stuck, { storage: 'memory', signal: controller.signal }), /no patience/)
  for (let tries = 0; tries < 400 && !cancelled; tries += 1) await new Promise(done => setTimeout(done, 5))
  assert.equal(cancelled, true)
})

test('what is damaged is refused, and nothing is left of it', async () => {
  const db = await filled()
  const bytes = await bytesOf(db.export())
  await db.close()
  for (const at of [0, 9, 13, 40, 5_000, bytes.length - 1]) {
    const damaged = bytes.slice()
    damaged[at] ^= 1
    const medium = new Medium()
    const error = await refusal(() => importStore(damaged, { storage: medium }))
    assert.ok(['INVALID_SOURCE', 'NEWER_FORMAT'].includes(error.code), `${at}: ${error.code}`)
    if (error.code === 'INVALID_SOURCE') {
      assert.ok(error.offset <= at && error.what.length > 0, `${at}: ${error.message}`)
    }
    assert.ok(medium.bytes.every(byte => byte === 0) && medium.bytes.length <= 512, 'something is left')
    const other = await open({ storage: medium })
    assert.equal(other.revision, 1)
    await other.close()
  }
  const cut = await refusal(() => importStore(bytes.subarray(0, 3_000), { storage: 'memory' }))
  assert.deepEqual([cut.code, cut.offset], ['INVALID_SOURCE', 3_000])
})

test('a source that fails, or gives something else, says so', async () => {
  const medium = new Medium()
  async function* failing() {
    yield new Uint8Array(Buffer.from('palimpx'))
    throw new Error('the network is gone')
  }
  await assert.rejects(importStore(failing(), { storage: medium }), /the network is gone/)
  assert.ok(medium.bytes.every(byte => byte === 0))
  for (const source of ['text', undefined, null, 5, {}, ['text'], [new ArrayBuffer(8)]]) {
    const error = await refusal(() => importStore(source, { storage: 'memory' }))
    assert.equal(error.code, 'INVALID_ARGUMENT', String(source))
  }
  for (const options of [undefined, {}, { storage: 'memory', sign: 1 }, { storage: 'memory', signal: 5 }]) {
    const error = await refusal(() => importStore([], options))
    assert.equal(error.code, 'INVALID_ARGUMENT')
  }
  const db = await open({ storage: 'memory' })
  assert.equal((await refusal(() => db.export({ sign: 1 }))).code, 'INVALID_ARGUMENT')
  await db.close()
})

test('an import of a snapshot refuses what it does not know', async () => {
  const wrong = { storage: 'memory', hashCheck: 'never' }
  assert.equal((await refusal(() => importEtcdSnapshot([], wrong))).option, 'hashCheck')
})

test('a snapshot of etcd has its history', async t => {
  const bytes = readFileSync(snapshot)
  for (const source of [bytes, new Blob([bytes]), createReadStream(snapshot)]) {
    const db = await importEtcdSnapshot(source, { storage: 'memory' })
    assert.equal(db.revision, 33)
    assert.deepEqual(await db.hashKv(), { hash: 1_137_297_044, compacted: 5, revision: 33 })
    assert.deepEqual(await db.hashKv(11), { hash: 2_525_762_152, compacted: 5, revision: 11 })
    assert.equal(await db.get('config/port', { revision: 6 }), '8080')
    assert.equal(await db.get('config/port'), '443')
    assert.equal((await db.leases()).length, 1)
    const { records, leases, missingLeases, marks } = db.imported
    assert.deepEqual([records, leases, missingLeases, marks], [(await db.status()).records, 1, 0, 0])
    await db.check()
    await db.put('config/port', '1')
    await db.close()
  }
  const file = join(freshFolder(t), 'imported.plm')
  await (await importEtcdSnapshot(bytes, { storage: { file }, pageBytes: 1024 })).close()
  const db = await open({ storage: { file } })
  assert.equal((await db.status()).pageBytes, 1024)
  assert.equal(await db.get('config/host', { revision: 6 }), 'a.example')
  await db.close()
})

test('a snapshot without a hash, or with another one', async () => {
  const bytes = readFileSync(snapshot)
  const database = bytes.subarray(0, bytes.length - 32)
  assert.equal(
    (await refusal(() => importEtcdSnapshot(database, { storage: 'memory' }))).code,
    'INVALID_SOURCE',
  )
  const db = await importEtcdSnapshot(database, { storage: 'memory', hashCheck: 'skipped' })
  assert.equal(db.revision, 33)
  await db.close()
  const damaged = Buffer.from(bytes)
  damaged[30_000] ^= 1
  const error = await refusal(() => importEtcdSnapshot(damaged, { storage: 'memory' }))
  assert.match(error.message, /SHA-256/)
  const store = await open({ storage: 'memory' })
  assert.equal(
    (await refusal(() => importEtcdSnapshot(store.export(), { storage: 'memory' }))).code,
    'INVALID_SOURCE',
  )
  await store.close()
})

test('a file that could not be imported into can be used afterwards', async t => {
  const file = join(freshFolder(t), 'new.plm')
  writeFileSync(`${file}.source`, 'nothing of ours')
  const error = await refusal(() => importStore(createReadStream(`${file}.source`), { storage: { file } }))
  assert.deepEqual([error.code, error.offset], ['INVALID_SOURCE', 0])
  const db = await open({ storage: { file } })
  assert.equal(db.revision, 1)
  await db.close()
  assert.ok(existsSync(file))
})
