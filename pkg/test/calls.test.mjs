// What a store answers does not depend on where its engine is: the same calls, to a store in this thread and to one where this run has its
// stores, and every answer compared.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { compare, del, get, open, PalimpsestError, put } from 'palimpsest-kv'
import { Medium, refusal } from './support/help.mjs'

const text = words => new TextEncoder().encode(words)
const REASON = new Error('enough')
const aborted = { signal: AbortSignal.abort(REASON) }
const view = new Uint8Array(1000).fill(7).subarray(3, 5)
const sparse = [1, 2]
sparse.length = 3

/** What someone may take for a value. */
const VALUES = {
  undefined: undefined,
  null: null,
  NaN: Number.NaN,
  'minus zero': -0,
  'a text': 'v',
  'no text': '',
  'a lone surrogate': '\ud800',
  bytes: text('v'),
  'no bytes': new Uint8Array(),
  'a view': view,
  'a buffer': new ArrayBuffer(2),
  'a view of words': Uint16Array.of(1, 2),
  true: true,
  'a big integer': 5n,
  'a symbol': Symbol('s'),
  'a function': () => 1,
  'a Date': new Date(0),
  'a Date that is none': new Date(Number.NaN),
  'a Map': new Map([[1, 2]]),
  'a signal': { name: 'wifi', signal: -70 },
  'a real signal': { name: 'wifi', signal: aborted.signal },
  'options as a value': { durability: 'strict', revision: 5, values: 'json', all: true },
  'an absent property': { a: undefined, b: 1 },
  'a function in it': { a: () => 1, b: 1 },
  'a toJSON': { toJSON: () => ({ signal: 1 }) },
  'a toJSON that throws': {
    toJSON() {
      throw new RangeError('no')
    },
  },
  'a sparse array': sparse,
  'a signal in a list': [{ signal: 1 }],
  'no prototype': Object.assign(Object.create(null), { a: 1 }),
  'a boxed text': Object('v'),
  'an error': new TypeError('t'),
}

/** What someone may take for options. */
const OPTIONS = {
  undefined: undefined,
  null: null,
  'a number': 5,
  'a text': 'x',
  'a list': [],
  none: {},
  'an unknown one': { colour: 1 },
  'an aborted signal': aborted,
  'a signal that is none': { signal: 5 },
  'an absent signal': { signal: undefined },
  'absent ones': { revision: undefined, limit: undefined, durability: undefined, values: undefined },
  'a revision that is none': { revision: Number.NaN },
  'a limit that is none': { limit: Number.NaN },
  'a durability that is none': { durability: null },
  'values that are none': { values: 'xml' },
  'a future revision': { revision: 1e6 },
  'the revision 0': { revision: 0 },
  'the limit 0': { limit: 0 },
  'a Date that is none': { at: new Date(Number.NaN) },
  'a revision and a time': { revision: 1, at: new Date() },
  'a function': { durability: () => 'strict' },
}

/** What takes options last, by name. */
const TAKERS = {
  get: (db, options) => db.get('a', options),
  getEntry: (db, options) => db.getEntry('a', options),
  count: (db, options) => db.count(options),
  range: (db, options) => db.range(options).collect(),
  'range, iterated': (db, options) => all(db.range(options)),
  keys: (db, options) => db.keys(options).collect(),
  history: (db, options) => db.history('a', options).collect(),
  'history, iterated': (db, options) => all(db.history('a', options)),
  diff: (db, options) => db.diff(1, 3, options).collect(),
  'diff, iterated': (db, options) => all(db.diff(1, 3, options)),
  put: (db, options) => db.put('a', undefined, { ...options, keepValue: true }),
  'put of a value': (db, options) => db.put('o', new Uint8Array(), options),
  delete: (db, options) => db.delete('nothing', options),
  commit: (db, options) => db.txn().then(get('a')).commit(options),
  watch: (db, options) => ended(db.watch('a', options)),
  snapshot: (db, options) => having(db.snapshot(options), snapshot => snapshot.revision),
  'get of a snapshot': (db, options) => having(db.snapshot(), snapshot => snapshot.get('a', options)),
  'count of a snapshot': (db, options) => having(db.snapshot(), snapshot => snapshot.count(options)),
  'range of a snapshot': (db, options) =>
    having(db.snapshot(), snapshot => snapshot.range(options).collect()),
  'history of a snapshot': (db, options) =>
    having(db.snapshot(), snapshot => snapshot.history('a', options).collect()),
  grantLease: (db, options) => db.grantLease(60_000, { ...options, id: 5 }).then(() => db.revokeLease(5)),
  revokeLease: (db, options) => db.revokeLease(9, options),
  keepAlive: (db, options) => db.keepAlive(9, options),
  leaseKeys: (db, options) => db.leaseKeys(9, options),
  dryRun: (db, options) => db.dryRun(2, options),
  pin: (db, options) => db.pin('p', 2, options),
  unpin: (db, options) => db.unpin('p', options),
}

/** What takes one argument, by name. */
const ARGUMENTS = [undefined, null, Number.NaN, -1, 1e6, '', '\ud800', {}, [], new Date(Number.NaN), () => 1]
const UNARY = {
  get: (db, argument) => db.get(argument),
  getEntry: (db, argument) => db.getEntry(argument),
  delete: (db, argument) => db.delete(argument),
  history: (db, argument) => db.history(argument).collect(),
  diff: (db, argument) => db.diff(argument, 3).collect(),
  'diff to': (db, argument) => db.diff(1, argument).collect(),
  watch: (db, argument) => ended(db.watch(argument)),
  compact: (db, argument) => db.compact(argument).then(job => job.revision),
  lease: (db, argument) => db.lease(argument),
  revokeLease: (db, argument) => db.revokeLease(argument),
  keepAlive: (db, argument) => db.keepAlive(argument),
  leaseKeys: (db, argument) => db.leaseKeys(argument),
  hashKv: (db, argument) => db.hashKv(argument ?? null),
  dryRun: (db, argument) => db.dryRun(argument),
  revisionAt: (db, argument) => db.revisionAt(argument),
  timeOf: (db, argument) => db.timeOf(argument),
  unpin: (db, argument) => db.unpin(argument),
  grantLease: (db, argument) =>
    db.grantLease(argument).then(({ id, ttl }) => db.revokeLease(id).then(() => ttl)),
  pin: (db, argument) => db.pin(argument),
  'pin a revision': (db, argument) => db.pin('q', argument),
  'pin until': (db, argument) => db.pin('q', 2, { expires: argument === 1e6 ? 4e12 : argument }),
  'snapshot of a time': (db, argument) =>
    having(db.snapshot({ at: argument, revision: 1 }), snapshot => snapshot.revision),
  'read a snapshot at': (db, argument) =>
    having(db.snapshot({ revision: 2 }), snapshot => snapshot.get('a', { revision: argument })),
  setAutoCompaction: (db, argument) => db.setAutoCompaction(argument),
  setRetention: (db, argument) => db.setRetention(argument),
  setThinning: (db, argument) => db.setThinning(argument),
  setQuota: (db, argument) => db.setQuota(argument),
}

const SINGLE = {
  'two iterators at once': async db => {
    const range = db.range()
    const [one, other] = [range[Symbol.asyncIterator](), range[Symbol.asyncIterator]()]
    const answers = []
    for (let count = 0; count < 4; count += 1) answers.push(await one.next(), await other.next())
    return answers
  },
  'an iterator that is asked twice at once': db => {
    const items = db.keys()[Symbol.asyncIterator]()
    return Promise.all([items.next(), items.next(), items.next()])
  },
  'an iterator that has ended': async db => {
    const items = db.keys()[Symbol.asyncIterator]()
    return [await items.next(), await items.return(), await items.next(), await items.return()]
  },
  'a snapshot that is read when it is closed': async db => {
    const snapshot = db.snapshot()
    snapshot.close()
    snapshot.close()
    return snapshot.get('a')
  },
  'a snapshot that is closed while it is iterated': async db => {
    const snapshot = db.snapshot()
    const items = snapshot.range()[Symbol.asyncIterator]()
    await items.next()
    snapshot.close()
    return items.next()
  },
  'a transaction of nothing': db => db.txn().commit(),
  'a branch of nothing': db => db.txn().if(compare('a').version.equals(0)).then().else().commit(),
  'a transaction within another': db =>
    db
      .txn()
      .then(db.txn().else(put('a', 'x')))
      .commit(),
  'a transaction that is committed twice': async db => {
    const txn = db.txn().then(put('twice', 'v'))
    return [await txn.commit(), await txn.commit()]
  },
  'no rules at all': db => db.setRetention([]),
  'leases, pins': async db => [await db.leases(), await db.pins()],
  'a value that is kept': db => db.put('a', undefined, { keepValue: true, previous: true }),
  'a value that is kept and given': db => db.put('a', 'x', { keepValue: true }),
  'what was there before': db => db.delete({ from: 'a', to: 'c' }, { previous: true }),
  'what can be read only in part': async db => {
    const items = db.range({ values: 'utf8' })[Symbol.asyncIterator]()
    const answers = [await db.put('b', Uint8Array.of(255), { values: 'bytes' })]
    for (let count = 0; count < 4; count += 1) answers.push(await outcome(() => items.next(), db))
    return [...answers, await db.delete('b')]
  },
  'a key and a prefix that change after the call': async db => {
    const { revision: from } = await db.put('a', text('1'), { values: 'bytes' })
    const [key, prefix] = [text('a'), text('a')]
    const options = { prefix, limit: 5 }
    const ranges = [db.history(key), db.range(options), db.keys(options), db.diff(1, 2, options)]
    const watch = db.watch(key, { from, values: 'bytes' })
    const answers = [db.get(key), db.getEntry(key), db.count({ prefix })]
    key[0] = 120
    prefix[0] = 120
    options.limit = 0
    const { events } = (await watch.next()).value
    await watch.return()
    return [events[0], ...(await Promise.all([...answers, ...ranges.map(range => range.collect())]))]
  },
  'a watch of the past': async db => {
    const watch = db.watch({ all: true }, { from: 2, previous: true, values: 'bytes', keys: 'bytes' })
    const { events } = (await watch.next()).value
    return [events.slice(0, 2), await watch.return(), await watch.next()]
  },
  'a watch of what is compacted, and a read of it': async db => {
    await (await db.compact(3)).done
    const watch = db.watch('a', { from: 1 })
    const calls = [() => watch.next(), () => watch.next(), () => db.get('a', { revision: 1 })]
    return Promise.all(calls.map(call => outcome(call, db)))
  },
  'a check, a hash, pages': async db => [
    Object.keys(await db.check()),
    Object.keys(await db.hashKv()),
    (await db.pages()).names,
  ],
  'the names of a status': async db => Object.keys(await db.status()).filter(name => name !== 'role'),
  'a flush, a checkpoint, a shrinking': async db => [
    await db.flush(),
    await db.checkpoint(),
    await db.shrink(),
  ],
}

async function all(range) {
  const items = []
  for await (const item of range) items.push(item)
  return items
}

async function having(snapshot, use) {
  try {
    return await use(snapshot)
  } finally {
    snapshot.close()
  }
}

/** What a watch begins with; where it has failed already, its error. */
async function ended(watch) {
  const { revision } = watch
  await Promise.race([watch.next(), pause(1)])
  await watch.return()
  return revision
}

/** Every call: its name, what is called, and for which codecs of values. */
function* calls(values) {
  for (const [name, value] of Object.entries(VALUES)) {
    yield [`put ${name}`, db => db.put('v', value)]
    yield [`put ${name} and tell what was there`, db => db.put('v', value, { previous: true })]
    yield [`put ${name} in a transaction`, db => db.txn().then(put('v', value), get('v')).commit()]
    yield [
      `put ${name} within a transaction`,
      db =>
        db
          .txn()
          .then(db.txn().then(put('v', value)))
          .commit(),
    ]
    yield [
      `compare with ${name}`,
      db => db.txn().if(compare('v').value.equals(value)).else(del('v')).commit(),
    ]
    yield [`read ${name}`, db => db.get('v')]
    for (const codec of ['utf8', 'bytes', 'json'])
      if (codec !== values)
        yield [`put ${name} as ${codec}`, db => db.put(`v/${codec}`, value, { values: codec })]
  }
  for (const [method, call] of Object.entries(TAKERS))
    for (const [name, options] of Object.entries(OPTIONS))
      yield [`${method} with ${name} for options`, db => call(db, options)]
  for (const [method, call] of Object.entries(UNARY))
    for (const argument of ARGUMENTS) yield [`${method} of ${String(argument)}`, db => call(db, argument)]
  for (const [name, call] of Object.entries(SINGLE)) yield [name, call]
}

/** What comes of a call: an answer or an error, and in which way it comes. */
async function outcome(call, db) {
  let promise
  try {
    promise = call(db)
  } catch (error) {
    return { thrown: inWords(error) }
  }
  try {
    return { value: await promise, revision: db.revision }
  } catch (error) {
    return { thrown: inWords(error), revision: db.revision }
  }
}

function inWords(error) {
  if (error instanceof PalimpsestError) return { ...error }
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error)
}

for (const values of ['utf8', 'bytes', 'json']) {
  test(`the same calls are answered alike, with values as ${values}`, async t => {
    const stores = [await open({ storage: new Medium(), values }), await open({ storage: 'memory', values })]
    t.after(() => Promise.all(stores.map(db => db.close())))
    for (const db of stores) await db.put('a', values === 'bytes' ? text('1') : '1')
    const different = []
    for (const [name, call] of calls(values)) {
      const [here, there] = [await outcome(call, stores[0]), await outcome(call, stores[1])]
      try {
        assert.deepEqual(there, here)
      } catch (error) {
        different.push(`${name}: ${error.message}`)
      }
    }
    assert.deepEqual(different, [])
  })
}

/** What is used after its store's end, made before it. */
function leftovers(db) {
  const snapshot = db.snapshot()
  const [txn, inner] = [db.txn().then(put('late', 'v')), db.txn().then(put('later', 'v'))]
  const range = db.range()
  return {
    commit: () => txn.commit(),
    'commit of a new one': () => db.txn().then(inner).commit(),
    'a snapshot': () => snapshot.get('a'),
    'a range of a snapshot': () => snapshot.range().collect(),
    'a range': () => range.collect(),
    revision: () => db.revision,
    durableRevision: () => db.durableRevision,
    compaction: () => db.compaction,
    put: () => db.put('late', 'v'),
    ...Object.fromEntries(Object.entries(TAKERS).map(([name, call]) => [name, () => call(db)])),
    ...Object.fromEntries(
      ['status', 'check', 'flush', 'leases', 'pins'].map(name => [name, () => db[name]()]),
    ),
  }
}

test('what is asked of a store after it was told to close is refused', async () => {
  const db = await open({ storage: 'memory' })
  await db.put('a', 'v')
  const uses = leftovers(db)
  const [items, watch] = [db.keys()[Symbol.asyncIterator](), db.watch({ all: true })]
  const closing = db.close()
  const refused = async (name, call) => assert.equal((await refusal(call)).code, 'CLOSED', name)
  const allRefused = () => Promise.all(Object.entries(uses).map(([name, call]) => refused(name, call)))
  await allRefused()
  await refused('what is iterated', () => items.next())
  await refused('a watch', () => watch.next())
  await closing
  await allRefused()
})

test('what is asked for many times at once is answered in the order of the calls', async t => {
  const db = await open({ storage: 'memory' })
  t.after(() => db.close())
  const names = Array.from({ length: 300 }, (_, at) => `k${1000 + at}`)
  await Promise.all(names.map(name => db.put(name, 'v', { durability: 'relaxed' })))
  const items = db.keys()[Symbol.asyncIterator]()
  // A chain of calls that has gone on for so long lets the event loop turn in between.
  const end = performance.now() + 20
  while (performance.now() < end);
  const answers = await Promise.all(names.map(() => items.next()))
  assert.deepEqual(
    answers.map(({ value }) => value),
    names,
  )
})

test('an iteration that is ended while it waits leaves nothing behind', async t => {
  const db = await open({ storage: 'memory' })
  t.after(() => db.close())
  await Promise.all(Array.from({ length: 600 }, (_, at) => db.put(`k${at}`, 'v', { durability: 'relaxed' })))
  for (const range of [db.range(), db.keys(), db.history('k1'), db.diff(1, 2)]) {
    const items = range[Symbol.asyncIterator]()
    const waiting = items.next()
    // The first batch is on its way.
    await pause(0)
    await items.return()
    await waiting
    assert.deepEqual(await items.next(), { done: true, value: undefined })
  }
  const slow = db.range()[Symbol.asyncIterator]()
  const waiting = slow.next()
  await Promise.resolve()
  await slow.return()
  await waiting
  await pause(20)
  assert.equal((await db.status()).snapshots, 0)
})
