// Compaction as the event loop drives it.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as pause, setImmediate as turn } from 'node:timers/promises'
import { open } from 'palimpsest-kv'
import { contents, refusal } from './support/help.mjs'
import { readsAtOnce } from './support/here.mjs'

/** A store in which each of `keys` keys has been put `versions` times. */
async function filled(t, { keys, versions, ...options }) {
  const db = await open({ storage: 'memory', durability: 'relaxed', ...options })
  t.after(() => db.close())
  for (let version = 1; version <= versions; version += 1) {
    const names = Array.from({ length: keys }, (_, key) => `k${String(key).padStart(5, '0')}`)
    await Promise.all(names.map(name => db.put(name, `v${version}`)))
  }
  return db
}

test('compact answers at once, the job runs by itself, and the newest values stay', async t => {
  // The pause between its chunks gives the program, which may be in another tab, the time to look at the job before it ends.
  const db = await filled(t, { keys: 500, versions: 4, compactionBatchLimit: 100, compactionPause: 150 })
  const expected = await contents(db)
  const held = db.snapshot({ revision: 600 })
  const past = await contents(held)
  const job = await db.compact(1501)
  assert.equal(job.revision, 1501)
  assert.deepEqual(job.status(), {
    revision: 1501,
    removed: 0,
    total: 1000,
    pagesFreed: 0,
    held: 0,
    finished: false,
  })
  assert.equal((await refusal(() => db.get('k00000', { revision: 1500 }))).code, 'COMPACTED')
  const steps = []
  for await (const progress of job.progress()) steps.push(progress)
  // A chunk is a whole number of pages, so there are fewer than ten; those that end while a message is on its way are told of together.
  assert.ok(steps.length >= (readsAtOnce ? 4 : 2), `${steps.length} steps`)
  for (const [i, step] of steps.entries()) {
    assert.equal(step.revision, 1501)
    assert.equal(step.total, 1000)
    if (i > 0) assert.ok(step.removed >= steps[i - 1].removed, 'it only grows')
    assert.equal(step.finished, i === steps.length - 1)
  }
  const last = steps.at(-1)
  assert.equal(last.removed, 1000)
  assert.deepEqual(await job.done, last)
  assert.deepEqual(job.status(), last)
  assert.deepEqual([(await db.status()).compacted, (await db.status()).finished], [1501, 1501])
  assert.deepEqual(await contents(db), expected)
  assert.deepEqual(await contents(held), past)
  held.close()
  await db.check()
})

test('a job goes on while nobody waits for it', async t => {
  const db = await filled(t, { keys: 300, versions: 3, compactionBatchLimit: 50, compactionPause: 1 })
  const job = await db.compact(db.revision)
  for (let i = 0; i < 500 && !job.status().finished; i += 1) await pause(5)
  assert.equal(job.status().finished, true)
  assert.equal((await db.status()).deadRecords, 0)
})

test('jobs queue up and end in their order', async t => {
  const db = await filled(t, { keys: 200, versions: 5, compactionBatchLimit: 50, compactionPause: 0 })
  const ends = []
  const jobs = []
  for (const revision of [301, 501, 901]) jobs.push(await db.compact(revision))
  assert.equal(db.compaction, jobs[2])
  await Promise.all(jobs.map(job => job.done.then(progress => ends.push(progress.revision))))
  assert.deepEqual(ends, [301, 501, 901])
  assert.equal((await db.status()).finished, 901)
})

test('a job that others wait behind is done when it is, and tells what it has removed', async t => {
  const db = await filled(t, { keys: 100, versions: 10, compactionBatchLimit: 20, compactionPause: 400 })
  // Asked together: on a slow machine, the first would be done before the answer about it had come.
  const [first, second] = await Promise.all([db.compact(401), db.compact(801)])
  assert.deepEqual([first.status().finished, second.status().finished], [false, false])
  const done = await first.done
  assert.deepEqual(done, { ...done, revision: 401, removed: 300, total: 300, finished: true })
  assert.ok((await db.status()).finished >= 401, 'and so it is')
  assert.deepEqual(first.status(), done)
  assert.equal((await second.done).removed, 400)
})

test('jobs that are asked for together each tell what they have removed, however quickly they end', async t => {
  const db = await filled(t, { keys: 50, versions: 10 })
  const jobs = await Promise.all([60, 80, 501].map(revision => db.compact(revision)))
  const ends = await Promise.all(jobs.map(job => job.done))
  assert.deepEqual(
    ends.map(({ revision, removed, total, finished }) => [revision, removed, total, finished]),
    [
      [60, 9, 9, true],
      [80, 20, 20, true],
      [501, 421, 421, true],
    ],
  )
  for (const [at, job] of jobs.entries()) {
    for (let tries = 0; tries < 400 && !job.status().finished; tries += 1) await pause(5)
    assert.deepEqual(job.status(), ends[at])
  }
})

test('a signal ends the wait, not the work', async t => {
  const db = await filled(t, { keys: 300, versions: 3, compactionBatchLimit: 20, compactionPause: 400 })
  const job = await db.compact(db.revision)
  const reason = new Error('no patience')
  const controller = new AbortController()
  const waiting = job.wait({ signal: controller.signal })
  setTimeout(() => controller.abort(reason), 5)
  await assert.rejects(waiting, reason)
  await assert.rejects(job.wait({ signal: AbortSignal.abort(reason) }), reason)
  await assert.rejects(
    async () => {
      for await (const _ of job.progress({ signal: AbortSignal.timeout(4) }));
    },
    { name: 'TimeoutError' },
  )
  assert.equal((await job.done).finished, true)
  assert.equal((await refusal(() => job.wait({ timeout: 5 }))).code, 'INVALID_ARGUMENT')
})

test('closing a store rejects those who wait for its job', async t => {
  const db = await filled(t, { keys: 300, versions: 3, compactionBatchLimit: 20, compactionPause: 1000 })
  const job = await db.compact(db.revision)
  const waits = [refusal(() => job.done), refusal(() => job.wait())]
  await db.close()
  for (const error of await Promise.all(waits)) assert.equal(error.code, 'CLOSED')
  assert.equal((await refusal(() => job.done)).code, 'CLOSED')
})

test('awaited calls in a long chain let the background work and the program run', async t => {
  const db = await filled(t, { keys: 500, versions: 4, compactionBatchLimit: 100, compactionPause: 0 })
  const job = await db.compact(db.revision)
  let ticks = 0
  const timer = setInterval(() => (ticks += 1), 1)
  const end = performance.now() + 20_000
  // Only promises that are fulfilled at once: without a breath, neither the timer nor the job would get a turn.
  while (!(job.status().finished && ticks > 3) && performance.now() < end) {
    await db.put('hot', 'x')
    await db.get('hot')
  }
  clearInterval(timer)
  assert.equal(job.status().finished, true)
  assert.ok(ticks > 3, `${ticks} turns for the timer`)
})

test('no step of the background work holds the event loop for long', async t => {
  const db = await filled(t, { keys: 20_000, versions: 5, compactionPause: 0 })
  await turn()
  const job = await db.compact(db.revision)
  let longest = 0
  let last = performance.now()
  let isDone = false
  job.done.then(() => (isDone = true))
  while (!isDone) {
    await turn()
    const now = performance.now()
    longest = Math.max(longest, now - last)
    last = now
  }
  assert.equal(job.status().removed, 80_000)
  // The budget is 2 ms; the rest is for a machine that does other things, too. One step of all the work takes far longer.
  assert.ok(longest < 60, `the event loop stood still for ${longest.toFixed(1)} ms`)
})
