// Watches: what happened, in its order, as fast as it is asked for.
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as pause, setImmediate as turn } from 'node:timers/promises'
import { del, open, put } from 'palimpsest-kv'
import { countCalls, freshFolder, inProcess, Medium, refusal, staysAlive } from './support/help.mjs'

async function fresh(t, options = {}) {
  const db = await open({ storage: 'memory', ...options })
  t.after(() => db.close())
  staysAlive(t)
  return db
}

/** The events of the next batches, until there are so many. */
async function events(watch, count) {
  const events = []
  while (events.length < count) events.push(...(await watch.next()).value.events)
  return events
}

const brief = ({ type, key, value, modRevision }) => [type, key, value, modRevision]

/** Whether a promise is still open after some turns of the event loop. */
async function isPending(promise) {
  for (let i = 0; i < 5; i += 1) await turn()
  return (await Promise.race([promise, Promise.resolve('pending')])) === 'pending'
}

test('a watch tells of every change from the moment it is made, and of no other', async t => {
  const db = await fresh(t)
  await db.put('a', 'before')
  const watch = db.watch('a')
  assert.equal(watch.revision, 2)
  await db.put('a', '1')
  await db.put('b', 'other')
  await db.txn().then(put('a', '2'), del('b')).commit()
  await db.delete('a')
  await db.put('a', '3')
  assert.deepEqual(await events(watch, 4), [
    {
      type: 'put',
      key: 'a',
      value: '1',
      createRevision: 2,
      modRevision: 3,
      version: 2,
      lease: undefined,
      previous: undefined,
    },
    {
      type: 'put',
      key: 'a',
      value: '2',
      createRevision: 2,
      modRevision: 5,
      version: 3,
      lease: undefined,
      previous: undefined,
    },
    {
      type: 'delete',
      key: 'a',
      value: undefined,
      createRevision: 0,
      modRevision: 6,
      version: 0,
      lease: undefined,
      previous: undefined,
    },
    {
      type: 'put',
      key: 'a',
      value: '3',
      createRevision: 7,
      modRevision: 7,
      version: 1,
      lease: undefined,
      previous: undefined,
    },
  ])
  assert.equal(watch.revision, 7)
  const waiting = watch.next()
  await db.put('b', 'other')
  assert.equal(await isPending(waiting), true)
  while (watch.revision < 8) await turn()
  assert.equal(watch.revision, 8, 'it was told of all there was')
  await db.put('a', '4')
  const { value, done } = await waiting
  assert.deepEqual([done, value.revision, value.events.map(brief)], [false, 9, [['put', 'a', '4', 9]]])
  assert.deepEqual(await watch.return(), { done: true, value: undefined })
  assert.deepEqual(await watch.next(), { done: true, value: undefined })
  assert.equal((await db.status()).watchers, 0)
})

test('selections, filters, what was there before, and codecs', async t => {
  const db = await fresh(t)
  const lease = (await db.grantLease(60_000)).id
  const watches = {
    prefix: db.watch({ prefix: 'u/' }),
    interval: db.watch({ from: 'u/2', to: 'v' }),
    all: db.watch({ all: true }, { previous: true }),
    puts: db.watch({ all: true }, { deletes: false }),
    deletes: db.watch({ all: true }, { puts: false, previous: true }),
    bytes: db.watch({ key: 'u/1' }, { keys: 'bytes', values: 'bytes' }),
    json: db.watch('j', { values: 'json' }),
    deaf: db.watch({ all: true }, { puts: false, deletes: false }),
    later: db.watch({ all: true }, { from: 5 }),
  }
  await db.put('u/1', 'a', { lease })
  await db.put('u/2', 'b')
  await db.put('u/1', 'c')
  await db.delete({ prefix: 'u/' })
  await db.put('j', '{"n":1}')
  const seen = async (name, count) => (await events(watches[name], count)).map(brief)
  const [one, two, again, gone1, gone2, json] = [
    ['put', 'u/1', 'a', 2],
    ['put', 'u/2', 'b', 3],
    ['put', 'u/1', 'c', 4],
    ['delete', 'u/1', undefined, 5],
    ['delete', 'u/2', undefined, 5],
    ['put', 'j', '{"n":1}', 6],
  ]
  assert.deepEqual(await seen('prefix', 5), [one, two, again, gone1, gone2])
  assert.deepEqual(await seen('interval', 2), [two, gone2])
  assert.deepEqual(await seen('puts', 4), [one, two, again, json])
  assert.deepEqual(await seen('later', 3), [gone1, gone2, json])
  const [bytes] = await events(watches.bytes, 3)
  assert.deepEqual(
    [bytes.key, bytes.value, bytes.lease],
    [new TextEncoder().encode('u/1'), Uint8Array.of(97), lease],
  )
  assert.deepEqual((await events(watches.json, 1))[0].value, { n: 1 })
  const all = await events(watches.all, 6)
  const before = all.map(({ previous }) => previous && [previous.key, previous.value, previous.lease])
  assert.deepEqual(before, [
    undefined,
    undefined,
    ['u/1', 'a', lease],
    ['u/1', 'c', undefined],
    ['u/2', 'b', undefined],
    undefined,
  ])
  assert.deepEqual(
    (await events(watches.deletes, 2)).map(event => event.previous.value),
    ['c', 'b'],
  )
  assert.equal(await isPending(watches.deaf.next()), true)
  for (const watch of Object.values(watches)) await watch.return()
})

test('a long history is caught up with in pieces, and the event loop turns meanwhile', async t => {
  const db = await fresh(t, { durability: 'relaxed' })
  const value = 'v'.repeat(50)
  for (let i = 0; i < 30_000; i += 1) await db.put(i % 10 === 0 ? `k${i}` : 'other', value)
  let turns = 0
  let longest = 0
  let last = performance.now()
  const timer = setInterval(() => {
    turns += 1
    longest = Math.max(longest, performance.now() - last)
    last = performance.now()
  }, 1)
  t.after(() => clearInterval(timer))
  const watch = db.watch({ prefix: 'k' }, { from: 1 })
  const seen = []
  let batches = 0
  for await (const batch of watch) {
    batches += 1
    if (seen.length === 0) await db.put('knew', 'live')
    seen.push(...batch.events.map(event => event.key))
    if (seen.at(-1) === 'knew') break
  }
  clearInterval(timer)
  assert.equal(seen.length, 3001)
  assert.deepEqual(seen.slice(0, 3), ['k0', 'k10', 'k20'])
  assert.ok(batches > 3 && turns > 3, `${batches} batches, ${turns} turns`)
  assert.ok(longest < 500, `${longest} ms without a turn`)
  assert.equal((await db.status()).watchers, 0, 'break ends it')
  // Nobody waits for what there is nothing of, however long the history is.
  const none = db.watch('none', { from: 2 })
  assert.equal(await isPending(none.next()), true)
  await none.return()
})

test('nothing is read before it is asked for, and a slow consumer misses nothing', async t => {
  const db = await fresh(t, { durability: 'relaxed' })
  const watch = db.watch({ prefix: 'k' })
  const calls = countCalls(t, 'poll', 'readyWatchers')
  for (let i = 0; i < 5000; i += 1) await db.put(`k${i % 7}`, String(i))
  await pause(5)
  assert.deepEqual(calls, { poll: 0, readyWatchers: 0 })
  const seen = await events(watch, 5000)
  assert.deepEqual(
    seen.map(event => event.value),
    Array.from({ length: 5000 }, (_, i) => String(i)),
  )
  assert.ok(seen.every((event, i) => event.modRevision === i + 2))
})

test('several calls at once are answered in their order', async t => {
  const db = await fresh(t)
  const watch = db.watch('k')
  const calls = [watch.next(), watch.next(), watch.next(), watch.next()]
  for (const value of ['1', '2']) {
    await db.put('k', value)
    await turn()
    await turn()
  }
  assert.deepEqual(
    (await Promise.all(calls.slice(0, 2))).map(({ value }) => value.events[0].value),
    ['1', '2'],
  )
  await watch.return()
  assert.deepEqual(await Promise.all(calls.slice(2)), [
    { done: true, value: undefined },
    { done: true, value: undefined },
  ])
})

test('a signal ends a watch with its reason', async t => {
  const db = await fresh(t)
  const reason = new Error('enough')
  const controller = new AbortController()
  const [waiting, resting] = [1, 2].map(() => db.watch('k', { signal: controller.signal }))
  const calls = [waiting.next(), waiting.next()]
  await turn()
  controller.abort(reason)
  await assert.rejects(calls[0], error => error === reason)
  assert.deepEqual(await calls[1], { done: true, value: undefined })
  assert.deepEqual(await waiting.next(), { done: true, value: undefined })
  // One that nobody waits for says so when it is asked again.
  await assert.rejects(resting.next(), error => error === reason)
  assert.deepEqual(await resting.next(), { done: true, value: undefined })
  const dead = db.watch('k', { signal: AbortSignal.abort(reason) })
  await assert.rejects(
    async () => {
      for await (const _ of dead) assert.fail('it tells nothing')
    },
    error => error === reason,
  )
  assert.equal((await db.status()).watchers, 0)
  const loop = async () => {
    for await (const _ of db.watch('k', { signal: AbortSignal.timeout(10) }));
  }
  await assert.rejects(loop, { name: 'TimeoutError' })
})

test('a store that is closed ends its watches', async t => {
  const db = await fresh(t)
  const [waiting, resting] = [db.watch('k'), db.watch('k')]
  const call = refusal(() => waiting.next())
  await turn()
  await db.close()
  assert.equal((await call).code, 'CLOSED')
  assert.equal((await refusal(() => resting.next())).code, 'CLOSED')
  assert.deepEqual(await resting.next(), { done: true, value: undefined })
  await resting.return()
  assert.equal(resting.revision, 1)
  assert.equal((await refusal(() => db.watch('k'))).code, 'CLOSED')
})

test('what is compacted can’t be told', async t => {
  const db = await fresh(t)
  for (let i = 2; i <= 10; i += 1) await db.put('k', String(i))
  const [slow, waiting] = [db.watch('k', { from: 4 }), db.watch('k')]
  const call = waiting.next()
  await db.compact(7)
  const error = await refusal(() => slow.next())
  assert.deepEqual([error.code, error.requested, error.compacted], ['COMPACTED', 4, 7])
  assert.deepEqual(await slow.next(), { done: true, value: undefined })
  const late = await refusal(() => db.watch('k', { from: 6 }).next())
  assert.deepEqual([late.code, late.requested, late.compacted], ['COMPACTED', 6, 7])
  // As the message tells: read what there is at the compacted revision, and watch on.
  const watch = db.watch('k', { from: error.compacted, previous: true })
  const seen = await events(watch, 4)
  assert.deepEqual(
    seen.map(({ value, previous }) => [value, previous?.value ?? previous]),
    [
      ['7', 'compacted'],
      ['8', '7'],
      ['9', '8'],
      ['10', '9'],
    ],
  )
  await db.put('k', '11')
  assert.deepEqual((await call).value.events.map(brief), [['put', 'k', '11', 11]], 'one that kept up goes on')
  assert.equal((await db.status()).watchers, 2)
})

test('a strict store tells only of what is durable', async t => {
  const storage = new Medium()
  const db = await fresh(t, { storage, flushInterval: 1e6 })
  const watch = db.watch('k')
  const call = watch.next()
  let told = false
  call.then(() => (told = true))
  await db.put('k', 'relaxed', { durability: 'relaxed' })
  await pause(20)
  assert.equal(told, false)
  assert.equal(watch.revision, 1)
  await db.put('other', 'strict')
  const { value } = await call
  assert.deepEqual([value.revision, value.events.map(brief)], [3, [['put', 'k', 'relaxed', 2]]])
  assert.equal(db.durableRevision, 3)
  const next = watch.next()
  await db.put('k', 'again', { durability: 'relaxed' })
  await db.flush()
  assert.equal((await next).value.events[0].value, 'again')
})

test('a relaxed store tells at once, and a watch goes on where another ended', async t => {
  const file = join(freshFolder(t), 'store.plm')
  const first = await open({ storage: { file }, durability: 'relaxed', flushInterval: 1e6 })
  const watch = first.watch({ all: true })
  await first.put('a', '1')
  await watch.next()
  const { revision } = watch
  await first.put('b', '2')
  await first.close()
  const db = await fresh(t, { storage: { file } })
  const rest = db.watch({ all: true }, { from: revision + 1 })
  assert.deepEqual((await events(rest, 1)).map(brief), [['put', 'b', '2', 3]])
})

test('progress is told where nothing happens', async t => {
  const db = await fresh(t)
  const began = performance.now()
  const watch = db.watch('k', { progress: 20 })
  await db.put('other', '')
  const notice = { events: [], revision: 2, isFragment: false }
  for (let i = 0; i < 3; i += 1) assert.deepEqual((await watch.next()).value, notice)
  assert.ok(performance.now() - began >= 50)
  await db.put('k', 'v')
  assert.deepEqual((await events(watch, 1)).map(brief), [['put', 'k', 'v', 3]])
})

test('a revision comes in fragments if it may', async t => {
  const db = await fresh(t)
  const puts = Array.from({ length: 9 }, (_, i) => put(`k${i}`, 'v'.repeat(100)))
  await db
    .txn()
    .then(...puts)
    .commit()
  const whole = await db.watch({ all: true }, { from: 1 }).next()
  assert.deepEqual([whole.value.events.length, whole.value.isFragment, whole.value.revision], [9, false, 2])
  const watch = db.watch({ all: true }, { from: 1, fragmentBytes: 250 })
  const seen = []
  for (let i = 0; i < 3; i += 1) {
    const { events, isFragment, revision } = (await watch.next()).value
    seen.push([events.map(event => event.key).join(' '), isFragment, revision])
  }
  assert.deepEqual(seen, [
    ['k0 k1 k2', true, 1],
    ['k3 k4 k5', true, 1],
    ['k6 k7 k8', false, 2],
  ])
})

test('ten thousand watches, of which a put concerns one', async t => {
  const db = await fresh(t, { durability: 'relaxed' })
  const keys = Array.from({ length: 10_000 }, (_, i) => `k${i}`)
  const watches = keys.map(key => db.watch(key))
  assert.equal((await db.status()).watchers, 10_000)
  const calls = watches.map(watch => watch.next())
  await turn()
  for (const i of [17, 4711, 9999]) {
    await db.put(`k${i}`, 'v')
    assert.deepEqual((await calls[i]).value.events.map(brief), [['put', `k${i}`, 'v', db.revision]])
  }
  const counted = countCalls(t, 'poll', 'readyWatchers')
  for (let i = 0; i < 20_000; i += 1) await db.put('nobody', 'v')
  await turn()
  assert.equal(counted.poll, 0)
  assert.ok(counted.readyWatchers < 2000, `asked ${counted.readyWatchers} times`)
  // One that concerns all of them.
  const everyone = Array.from({ length: 1000 }, () => db.watch({ prefix: 'all' }))
  const all = everyone.map(watch => watch.next())
  await db.put('all', 'v')
  assert.ok((await Promise.all(all)).every(({ value }) => value.events[0].key === 'all'))
  await Promise.all([...watches, ...everyone].map(watch => watch.return()))
  const answers = await Promise.all(calls.filter((_, i) => ![17, 4711, 9999].includes(i)))
  assert.ok(answers.every(({ done }) => done))
  assert.equal((await db.status()).watchers, 0)
  await db.check()
})

test('a watch does not keep a program alive, unless there is something to tell it', async () => {
  const source = `
    import { open } from 'palimpsest-kv'
    const db = await open({ storage: 'memory', durability: 'relaxed' })
    for (let i = 0; i < 20_000; i += 1) await db.put(i % 1000 === 0 ? 'k' : 'other', String(i))
    const watch = db.watch('k', { from: 1, progress: 60_000 })
    let seen = 0
    const loop = (async () => { for await (const { events } of watch) seen += events.length })()
    process.on('exit', () => console.log(seen))`
  const { code, stdout, stderr } = await inProcess(source)
  assert.deepEqual([code, stdout.trim(), stderr], [0, '20', ''])
})

test('a value that can’t be decoded ends the watch', async t => {
  const db = await fresh(t)
  const watch = db.watch('k', { values: 'json' })
  await db.put('k', 'not JSON')
  assert.equal((await refusal(() => watch.next())).code, 'INVALID_VALUE')
  assert.deepEqual(await watch.next(), { done: true, value: undefined })
})

test('a watch is disposed of', { skip: Symbol.asyncDispose === undefined }, async t => {
  const db = await fresh(t)
  const watch = db.watch('k')
  await watch[Symbol.asyncDispose]()
  assert.deepEqual(await watch.next(), { done: true, value: undefined })
})

test('a signal that comes from within a storage', async t => {
  const storage = new Medium()
  const db = await fresh(t, { storage })
  const controller = new AbortController()
  const reason = new Error('from within')
  const call = db.watch('a', { signal: controller.signal }).next()
  await turn()
  storage.before = () => controller.abort(reason)
  const written = db.put('a', '1')
  await assert.rejects(call, error => error === reason)
  storage.before = () => undefined
  await written
  await turn()
  assert.equal((await db.status()).watchers, 0)
})

/** `[call, code, what the message says]` */
const refused = [
  [db => db.watch(), 'INVALID_ARGUMENT', /which keys is missing/],
  [db => db.watch({}), 'INVALID_ARGUMENT', /selects no keys/],
  [db => db.watch(''), 'EMPTY_KEY', /at least one byte/],
  [db => db.watch({ prefix: 'a', all: true }), 'INVALID_ARGUMENT', /only one is possible/],
  [db => db.watch({ from: 'b', to: 'a' }), 'EMPTY_INTERVAL', /holds no key/],
  [db => db.watch('a', { from: -1 }), 'INVALID_ARGUMENT', /from must be/],
  [db => db.watch('a', { startRevision: 1 }), 'INVALID_ARGUMENT', /no option "startRevision"/],
  [db => db.watch('a', { puts: 'no' }), 'INVALID_ARGUMENT', /puts must be true or false/],
  [db => db.watch('a', { previous: 1 }), 'INVALID_ARGUMENT', /previous must be/],
  [db => db.watch('a', { progress: 0 }), 'INVALID_ARGUMENT', /at least a millisecond/],
  [db => db.watch('a', { fragmentBytes: 0 }), 'INVALID_ARGUMENT', /fragmentBytes must be/],
  [db => db.watch('a', { signal: {} }), 'INVALID_ARGUMENT', /AbortSignal/],
  [db => db.watch('a', { values: 'xml' }), 'INVALID_ARGUMENT', /values must be/],
]

for (const [call, code, says] of refused) {
  test(`refused: ${call}`, async t => {
    const db = await fresh(t)
    const error = await refusal(() => call(db))
    assert.equal(error.code, code)
    assert.match(error.message, says)
    assert.equal((await db.status()).watchers, 0)
  })
}
