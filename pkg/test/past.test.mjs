// Histories of keys, what differs between revisions, times, and what a compaction would free.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { get, open } from 'palimpsest-kv'
import { refusal } from './support/help.mjs'

/** A store with a key of several versions and a delete: a=1 (2), b=1 (3), a=2 (4), no a (5), a=3 (6), c=1 (7). */
async function filled(t, options = {}) {
  const db = await open({ storage: 'memory', ...options })
  t.after(() => db.close())
  await db.put('a', '1')
  await db.put('b', '1')
  await db.put('a', '2')
  await db.delete('a')
  await db.put('a', '3')
  await db.put('c', '1')
  return db
}

const short = versions =>
  versions.map(({ type, modRevision, value }) => `${modRevision}${type === 'put' ? `=${value}` : ' gone'}`)

test('a history has all versions of a key, both ways', async t => {
  const db = await filled(t)
  const whole = (await db.history('a').collect()).entries
  assert.deepEqual(short(whole), ['2=1', '4=2', '5 gone', '6=3'])
  assert.deepEqual(whole[1], {
    type: 'put',
    key: 'a',
    value: '2',
    createRevision: 2,
    modRevision: 4,
    version: 2,
    lease: undefined,
  })
  assert.deepEqual(whole[2], {
    type: 'delete',
    key: 'a',
    value: undefined,
    createRevision: 0,
    modRevision: 5,
    version: 0,
    lease: undefined,
  })
  const newest = await db.history('a', { reverse: true, limit: 2 }).collect()
  assert.deepEqual([short(newest.entries), newest.more], [['6=3', '5 gone'], true])
  const cases = [
    [{ from: 4 }, ['4=2', '5 gone', '6=3']],
    [{ from: 3, reverse: true }, ['2=1']],
    [{ from: 9 }, []],
    [{ limit: 0 }, []],
    [{ limit: 4 }, ['2=1', '4=2', '5 gone', '6=3']],
  ]
  for (const [options, expected] of cases)
    assert.deepEqual(short((await db.history('a', options).collect()).entries), expected)
  assert.deepEqual((await db.history('nothing').collect()).entries, [])
  assert.deepEqual(short((await db.snapshot({ revision: 4 }).history('a').collect()).entries), ['2=1', '4=2'])
})

test('a history without values', async t => {
  const db = await filled(t)
  const put = { type: 'put', key: 'a', lease: undefined }
  assert.deepEqual((await db.history('a', { keysOnly: true, limit: 3 }).collect()).entries, [
    { ...put, createRevision: 2, modRevision: 2, version: 1 },
    { ...put, createRevision: 2, modRevision: 4, version: 2 },
    {
      type: 'delete',
      key: 'a',
      value: undefined,
      createRevision: 0,
      modRevision: 5,
      version: 0,
      lease: undefined,
    },
  ])
  const last = []
  for await (const version of db.snapshot().history('a', { keysOnly: true, reverse: true, limit: 1 }))
    last.push(version)
  assert.deepEqual(last, [{ ...put, createRevision: 6, modRevision: 6, version: 1 }])
})

test('a history has nothing of what is to be compacted, from the moment it is asked for', async t => {
  const db = await filled(t)
  const held = db.snapshot()
  await db.compact(5)
  assert.deepEqual(short((await db.history('a').collect()).entries), ['5 gone', '6=3'])
  assert.deepEqual(short((await held.history('a').collect()).entries), ['2=1', '4=2', '5 gone', '6=3'])
  held.close()
})

test('a long history is read in batches', async t => {
  const db = await open({ storage: 'memory', durability: 'relaxed', values: 'json' })
  t.after(() => db.close())
  for (let i = 0; i < 3000; i += 1) await db.put('key', i)
  for (const reverse of [false, true]) {
    const seen = []
    for await (const { value } of db.history('key', { reverse })) seen.push(value)
    if (reverse) seen.reverse()
    assert.deepEqual(seen, [...Array(3000).keys()])
  }
})

const told = differences =>
  differences.map(({ type, key, before, after }) => [type, key, before?.value, after?.value])

test('a diff tells what is not the same', async t => {
  const db = await filled(t)
  const all = await db.diff(4, 0).collect()
  assert.deepEqual(told(all.entries), [
    ['changed', 'a', '2', '3'],
    ['created', 'c', undefined, '1'],
  ])
  assert.equal(all.entries[0].before.modRevision, 4)
  assert.deepEqual(told((await db.diff(5, 4).collect()).entries), [['created', 'a', undefined, '2']])
  assert.deepEqual(told((await db.diff(4, 5).collect()).entries), [['deleted', 'a', '2', undefined]])
  assert.deepEqual((await db.diff(6, 6).collect()).entries, [])
  const first = await db.diff(1, 7, { limit: 2 }).collect()
  assert.deepEqual([first.entries.map(({ key }) => key), first.more], [['a', 'b'], true])
  const selected = await db.diff(1, 7, { prefix: 'b' }).collect()
  assert.deepEqual(told(selected.entries), [['created', 'b', undefined, '1']])
  const [keyOnly] = (await db.diff(2, 4, { key: 'a', keysOnly: true }).collect()).entries
  assert.deepEqual(keyOnly.after, {
    key: 'a',
    createRevision: 2,
    modRevision: 4,
    version: 2,
    lease: undefined,
  })
  assert.equal((await refusal(() => db.diff(1, 99).collect())).code, 'FUTURE_REVISION')
  await db.compact(5)
  assert.equal((await refusal(() => db.diff(4, 7).collect())).code, 'COMPACTED')
})

test('a store is read as of a time', async t => {
  const db = await open({ storage: 'memory' })
  t.after(() => db.close())
  const before = new Date(Date.now() - 60_000)
  const moments = []
  for (const value of ['one', 'two', 'three']) {
    const { revision } = await db.put('key', value)
    assert.ok((await db.timeOf(revision)) <= new Date())
    moments.push({ value, revision, at: new Date() })
    await pause(5)
  }
  for (const { value, revision, at } of moments) {
    assert.equal(await db.revisionAt(at), revision)
    assert.equal(await db.get('key', { at }), value)
    assert.equal(db.getSync('key', { at }), value)
    assert.equal((await db.getEntry('key', { at })).modRevision, revision)
    assert.equal((await db.range({ at, all: true }).collect()).entries[0].value, value)
    assert.equal(await db.count({ at }), 1)
    const snapshot = db.snapshot({ at })
    assert.equal(snapshot.revision, revision)
    snapshot.close()
    const { results } = await db.txn().then(get('key', { at })).commit()
    assert.equal(results[0].entries[0].value, value)
  }
  assert.equal(await db.revisionAt(before), undefined)
  const unknown = await refusal(() => db.get('key', { at: before }))
  assert.deepEqual([unknown.code, unknown.time], ['TIME_UNKNOWN', before.getTime()])
  assert.equal(await db.timeOf(99), undefined)
})

test('times outlive the process', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'palimpsest-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const storage = { file: join(folder, 'times.plm') }
  const first = await open({ storage })
  const { revision } = await first.put('key', 'value')
  const time = await first.timeOf(revision)
  await first.close()
  await pause(5)
  const again = await open({ storage })
  assert.deepEqual(await again.timeOf(revision), time)
  assert.equal(await again.revisionAt(new Date()), revision)
  await again.close()
})

test('a dry run tells what a compaction would free', async t => {
  const db = await open({ storage: 'memory', durability: 'relaxed' })
  t.after(() => db.close())
  for (let round = 0; round < 3; round += 1)
    for (let i = 0; i < 2000; i += 1) await db.put(`users/${i % 2}/${i}`, 'x'.repeat(100))
  await db.put('alone', '1')
  await db.put('alone', '2')
  const report = await db.dryRun(db.revision)
  assert.deepEqual(
    report.prefixes.map(({ prefix, records }) => [prefix, records]),
    [
      ['', 1],
      ['users/', 4000],
    ],
  )
  assert.deepEqual([report.revision, report.records], [db.revision, 4001])
  assert.ok(report.bytes > 4001 * 100)
  const deeper = await db.dryRun(4002, { depth: 2, keys: 'bytes' })
  assert.deepEqual(
    deeper.prefixes.map(({ prefix, records }) => [new TextDecoder().decode(prefix), records]),
    [
      ['users/0/', 1001],
      ['users/1/', 1000],
    ],
  )
  assert.equal((await db.dryRun(2)).records, 0)
  const { records } = await db.status()
  const job = await db.compact(db.revision)
  await job.done
  assert.equal((await db.status()).records, records - report.records)
  assert.equal((await refusal(() => db.dryRun(5))).code, 'COMPACTED')
  const aborted = await refusal(() => db.dryRun(db.revision + 9))
  assert.equal(aborted.code, 'FUTURE_REVISION')
})

test('both policies of automatic compaction can be on, and be changed', async t => {
  const db = await filled(t, { autoCompaction: { periodic: 100, revisions: 4 } })
  await pause(300)
  assert.equal((await db.status()).compacted, undefined, 'revisions are counted every five minutes')
  await db.setAutoCompaction({ periodic: 50, revisions: 0 })
  for (let i = 0; i < 200 && (await db.status()).compacted !== 7; i += 1) await pause(25)
  assert.equal((await db.status()).compacted, 7)
})

const refused = [
  [db => db.history('a', { revers: true }), /no option "revers"/],
  [db => db.history('a', { reverse: 1 }), /reverse must be/],
  [db => db.history('a', { from: -1 }), /from must be/],
  [db => db.history(7), /a key must be/],
  [db => db.diff(-1, 2), /a revision must be/],
  [db => db.diff(1), /a revision must be/],
  [db => db.diff(1, 2, { perfix: 'a' }), /no option "perfix"/],
  [db => db.diff(1, 2, { prefix: 'a', key: 'a' }), /only one is possible/],
  [db => db.get('a', { at: 'noon' }), /at must be a Date since 1970/],
  [db => db.get('a', { at: new Date(Number.NaN) }), /at must be a Date/],
  [db => db.get('a', { at: new Date(), revision: 2 }), /revision or at/],
  [db => db.count({ at: 5 }), /at must be/],
  [db => db.range({ at: new Date(), revision: 2 }), /revision or at/],
  [db => db.snapshot({ at: new Date() }).get('a', { at: new Date() }), /its own revision/],
  [db => db.snapshot({ at: new Date(), revision: 2 }), /revision or at/],
  [db => db.revisionAt(5), /a time must be a Date/],
  [db => db.timeOf('x'), /a revision must be/],
  [db => db.dryRun(2, { delimiter: '' }), /delimiter must be/],
  [db => db.dryRun(2, { depht: 1 }), /no option "depht"/],
  [db => db.dryRun(), /a revision must be/],
]

for (const [call, says] of refused) {
  test(`refused: ${call}`, async t => {
    const db = await filled(t)
    const error = await refusal(() => call(db))
    assert.equal(error.code, 'INVALID_ARGUMENT')
    assert.match(error.message, says)
  })
}
