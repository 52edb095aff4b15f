// Bad input: each is answered by a typed error with the values in it, and nothing has changed.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compare, del, get, open, PalimpsestError, put } from 'palimpsest-kv'
import { contents, refusal } from './support/help.mjs'

const limits = { maxKeyBytes: 10, maxValueBytes: 20, maxTxnOps: 3 }

async function filled(t) {
  const db = await open({ storage: 'memory', ...limits })
  t.after(() => db.close())
  for (const value of ['1', '2', '3']) await db.put('a', value)
  await (await db.compact(3)).done
  return db
}

const notRevisions = [-1, 1.5, Number.NaN, Infinity, 2 ** 53, '2', 2n, null, {}]
const notKeys = [undefined, null, 5, {}, [], true, new ArrayBuffer(2), Symbol('s')]

/** `[what, call, code, what the message says, fields]` */
const cases = [
  ['an empty key is put', db => db.put('', 'x'), 'EMPTY_KEY', /at least one byte/],
  ['an empty key of bytes', db => db.put(new Uint8Array(), 'x'), 'EMPTY_KEY', /at least one byte/],
  ['an empty key is read', db => db.get(''), 'EMPTY_KEY', /at least one byte/],
  ['an empty key is read at once', db => db.getSync(''), 'EMPTY_KEY', /at least one byte/],
  ['an empty key is read with revisions', db => db.getEntry(''), 'EMPTY_KEY', /at least one byte/],
  ['an empty key is deleted', db => db.delete(''), 'EMPTY_KEY', /at least one byte/],
  [
    'an empty key in a transaction',
    db => db.txn().then(put('', 'x')).commit(),
    'EMPTY_KEY',
    /at least one byte/,
  ],
  [
    'an empty key is compared',
    db => db.txn().if(compare('').version.equals(1)).commit(),
    'EMPTY_KEY',
    /at least/,
  ],
  [
    'a long key',
    db => db.put('k'.repeat(11), 'x'),
    'KEY_TOO_LARGE',
    /11 bytes.*10 bytes/,
    { bytes: 11, limit: 10 },
  ],
  [
    'a long key by its bytes',
    db => db.put('é'.repeat(6), 'x'),
    'KEY_TOO_LARGE',
    /12/,
    { bytes: 12, limit: 10 },
  ],
  [
    'a very long key',
    db => db.put('k'.repeat(99_999), 'x'),
    'KEY_TOO_LARGE',
    /99999/,
    { bytes: 99_999, limit: 10 },
  ],
  [
    'a long value',
    db => db.put('k', 'v'.repeat(21)),
    'VALUE_TOO_LARGE',
    /21 bytes.*20/,
    { bytes: 21, limit: 20 },
  ],
  [
    'a long value in a transaction',
    db =>
      db
        .txn()
        .then(put('b', 'x'), put('c', 'v'.repeat(21)))
        .commit(),
    'VALUE_TOO_LARGE',
    /21/,
    { bytes: 21, limit: 20 },
  ],
  [
    'a future revision',
    db => db.get('a', { revision: 5 }),
    'FUTURE_REVISION',
    /5.*4/,
    { requested: 5, current: 4 },
  ],
  [
    'a compacted revision',
    db => db.get('a', { revision: 2 }),
    'COMPACTED',
    /2.*3/,
    { requested: 2, compacted: 3 },
  ],
  [
    'a compacted range',
    db => contents(db, { revision: 2 }),
    'COMPACTED',
    /2/,
    { requested: 2, compacted: 3 },
  ],
  [
    'a future range',
    db => [...db.rangeSync({ revision: 9 })],
    'FUTURE_REVISION',
    /9/,
    { requested: 9, current: 4 },
  ],
  ['a future count', db => db.count({ revision: 9 }), 'FUTURE_REVISION', /9/, { requested: 9, current: 4 }],
  [
    'a compacted snapshot',
    // In a page it is each read that says so.
    db => db.snapshot({ revision: 1 }).get('a'),
    'COMPACTED',
    /1/,
    { requested: 1, compacted: 3 },
  ],
  [
    'a compacted read in a transaction',
    db =>
      db
        .txn()
        .then(put('b', ''), get('a', { revision: 2 }))
        .commit(),
    'COMPACTED',
    /2/,
  ],
  ['compacting again', db => db.compact(3), 'COMPACTED', /3/, { requested: 3, compacted: 3 }],
  ['compacting below', db => db.compact(0), 'COMPACTED', /0/, { requested: 0, compacted: 3 }],
  ['compacting the future', db => db.compact(5), 'FUTURE_REVISION', /5/, { requested: 5, current: 4 }],
  [
    'a key put twice',
    db => db.txn().then(put('b', '1'), put('b', '2')).commit(),
    'DUPLICATE_KEY',
    /"b"/,
    { key: Uint8Array.from([98]) },
  ],
  [
    'a key put and deleted',
    db =>
      db
        .txn()
        .then(put('b', '1'), del({ prefix: 'b' }))
        .commit(),
    'DUPLICATE_KEY',
    /"b"/,
  ],
  [
    'too many operations',
    db => db.txn().then(put('a', ''), put('b', ''), put('c', ''), put('d', '')).commit(),
    'TOO_MANY_OPERATIONS',
    /4.*3/,
    { operations: 4, limit: 3 },
  ],
  ...notRevisions.flatMap(revision => [
    [
      `the revision ${String(revision)} of get`,
      db => db.get('a', { revision }),
      'INVALID_ARGUMENT',
      /revision/,
    ],
    [
      `the revision ${String(revision)} of range`,
      db => db.range({ revision }),
      'INVALID_ARGUMENT',
      /revision/,
    ],
    [
      `the revision ${String(revision)} of snapshot`,
      db => db.snapshot({ revision }),
      'INVALID_ARGUMENT',
      /revision/,
    ],
    [
      `the revision ${String(revision)} of compact`,
      db => db.compact(revision),
      'INVALID_ARGUMENT',
      /revision/,
    ],
    [
      `the revision ${String(revision)} of a read`,
      () => get('a', { revision }),
      'INVALID_ARGUMENT',
      /revision/,
    ],
    [
      `the revision ${String(revision)} of a condition`,
      db => db.txn().if(db.compare('a').modRevision.equals(revision)).then(put('b', '')).commit(),
      'INVALID_ARGUMENT',
      /revision/,
    ],
    [
      `the version ${String(revision)} of a condition`,
      db => db.txn().if(db.compare('a').version.equals(revision)).then(put('b', '')).commit(),
      'INVALID_ARGUMENT',
      /version/,
    ],
  ]),
  ['no revision to compact to', db => db.compact(), 'INVALID_ARGUMENT', /undefined/],
  ...notKeys.flatMap(key => [
    [`the key ${String(key)} of put`, db => db.put(key, 'x'), 'INVALID_ARGUMENT', /key must be/],
    [`the key ${String(key)} of get`, db => db.get(key), 'INVALID_ARGUMENT', /key must be/],
  ]),
  ['a lone surrogate in a key', db => db.put('a\ud800', 'x'), 'INVALID_ARGUMENT', /lone surrogate/],
  ['a lone surrogate in a value', db => db.put('b', 'x\udc00'), 'INVALID_ARGUMENT', /lone surrogate/],
  ['a value that is no string', db => db.put('b', 5), 'INVALID_ARGUMENT', /must be a string, not 5/],
  [
    'a value that is no bytes',
    db => db.put('b', 'x', { values: 'bytes' }),
    'INVALID_ARGUMENT',
    /Uint8Array, not "x"/,
  ],
  ['a value that JSON lacks', db => db.put('b', undefined, { values: 'json' }), 'INVALID_ARGUMENT', /JSON/],
  [
    'a value that JSON refuses',
    db => db.put('b', 5n, { values: 'json' }),
    'INVALID_ARGUMENT',
    /JSON.*BigInt/,
  ],
  [
    'an unknown option of get',
    db => db.get('a', { revison: 1 }),
    'INVALID_ARGUMENT',
    /"revison"/,
    { option: 'revison' },
  ],
  [
    'an unknown option of put',
    db => db.put('a', 'x', { ttl: 1 }),
    'INVALID_ARGUMENT',
    /"ttl"/,
    { option: 'ttl' },
  ],
  ['an inherited option', db => db.put('a', 'x', { toString: 1 }), 'INVALID_ARGUMENT', /"toString"/],
  ['an unknown option of range', db => db.range({ prefixes: 'a' }), 'INVALID_ARGUMENT', /"prefixes"/],
  [
    'options that are no object',
    db => db.get('a', 2),
    'INVALID_ARGUMENT',
    /options must be an object, not 2/,
  ],
  [
    'an unknown codec',
    db => db.get('a', { values: 'xml' }),
    'INVALID_ARGUMENT',
    /'utf8' or 'bytes' or 'json', not "xml"/,
  ],
  [
    'a limit that is no count',
    db => db.range({ limit: -1 }),
    'INVALID_ARGUMENT',
    /limit.*-1/,
    { option: 'limit' },
  ],
  ['a signal that is none', db => db.range({ signal: 5 }), 'INVALID_ARGUMENT', /AbortSignal/],
  [
    'two selections at once',
    db => db.range({ prefix: 'a', key: 'b' }),
    'INVALID_ARGUMENT',
    /by key and by prefix/,
  ],
  ['all, and some', db => db.delete({ all: true, prefix: 'a' }), 'INVALID_ARGUMENT', /by prefix and by all/],
  ['all: false', db => db.delete({ all: false }), 'INVALID_ARGUMENT', /all must be true/],
  ['a delete of nothing', db => db.delete(), 'INVALID_ARGUMENT', /all: true/],
  ['a delete of {}', db => db.delete({}), 'INVALID_ARGUMENT', /all: true/],
  ['a prefix that is no key', db => db.delete({ prefix: 5 }), 'INVALID_ARGUMENT', /key must be/],
  ['a condition that is none', db => db.txn().if(true), 'INVALID_ARGUMENT', /condition.*true/],
  [
    'a condition without a relation',
    db => db.txn().if(db.compare('a').version),
    'INVALID_ARGUMENT',
    /condition/,
  ],
  ['an operation that is none', db => db.txn().then('put'), 'INVALID_ARGUMENT', /operation.*"put"/],
  ['an operation that is nothing', db => db.txn().else(undefined), 'INVALID_ARGUMENT', /operation/],
  ['a transaction that is awaited', async db => await db.txn(), 'INVALID_ARGUMENT', /await its commit/],
]

test('bad input is refused and changes nothing', async t => {
  const db = await filled(t)
  const before = { revision: db.revision, contents: await contents(db), status: await db.status() }
  for (const [what, call, code, says, fields = {}] of cases) {
    await t.test(what, async () => {
      const error = await refusal(() => call(db))
      assert.equal(error.code, code, error.message)
      assert.match(error.message, says)
      for (const [name, value] of Object.entries(fields)) assert.deepEqual(error[name], value, name)
      assert.equal(db.revision, before.revision)
      assert.deepEqual(await contents(db), before.contents)
    })
  }
  const { records, keys, snapshots } = await db.status()
  assert.deepEqual([records, keys, snapshots], [before.status.records, before.status.keys, 0])
})

const memory = { storage: 'memory' }

/** Options of open that are refused: `[options, what the message says, the option it names]` */
const openings = [
  [undefined, /needs options/],
  [{}, /storage must be/, 'storage'],
  [5, /options must be an object/],
  [{ storage: 'disk' }, /storage must be.*"disk"/, 'storage'],
  [{ storage: null }, /storage must be/, 'storage'],
  [{ storage: { file: '' } }, /file must be a path/, 'file'],
  [{ storage: { file: 5 } }, /file must be a path/, 'file'],
  [{ storage: { file: 'a\0b' } }, /file must be a path/, 'file'],
  [{ storage: { file: new URL('http://localhost/x') } }, /file must be a path or a file: URL/, 'file'],
  [{ storage: { file: 'x', mode: 5 } }, /"mode"/, 'mode'],
  [{ storage: { read() {} } }, /lacks write, sync, length, truncate/],
  [{ ...memory, colour: 1 }, /there is no option "colour"/, 'colour'],
  [{ ...memory, durability: 'maybe' }, /'strict' or 'relaxed', not "maybe"/, 'durability'],
  [{ ...memory, pageBytes: 1000 }, /pageBytes.*1000/, 'pageBytes'],
  [{ ...memory, pageBytes: 256 }, /pageBytes.*256/, 'pageBytes'],
  [{ ...memory, pageBytes: 131_072 }, /pageBytes.*131072/, 'pageBytes'],
  [{ ...memory, pageBytes: '4096' }, /pageBytes/, 'pageBytes'],
  [{ ...memory, cacheBytes: -1 }, /cacheBytes.*-1/, 'cacheBytes'],
  [{ ...memory, cacheBytes: 2 ** 32 }, /cacheBytes.*4294967296/, 'cacheBytes'],
  [{ ...memory, flushInterval: -5 }, /flushInterval.*-5/, 'flushInterval'],
  [{ ...memory, flushInterval: Number.NaN }, /flushInterval.*NaN/, 'flushInterval'],
  [{ ...memory, compactionPause: Infinity }, /compactionPause.*Infinity/, 'compactionPause'],
  [{ ...memory, compactionBatchLimit: 0 }, /compactionBatchLimit.*0/, 'compactionBatchLimit'],
  [{ ...memory, maxKeyBytes: 0 }, /maxKeyBytes.*0/, 'maxKeyBytes'],
  [{ ...memory, maxValueBytes: 2 ** 31 }, /maxValueBytes.*2147483648/, 'maxValueBytes'],
  [{ ...memory, maxTxnOps: 0.5 }, /maxTxnOps.*0.5/, 'maxTxnOps'],
  [{ ...memory, keys: 'json' }, /keys.*"json"/, 'keys'],
  [{ ...memory, values: 5 }, /values.*5/, 'values'],
  [{ ...memory, onError: 'log' }, /onError must be a function/, 'onError'],
]

test('bad options of open are refused by name', async t => {
  for (const [options, says, option] of openings) {
    await t.test(JSON.stringify(options) ?? 'undefined', async () => {
      const error = await refusal(() => open(options))
      assert.equal(error.code, 'INVALID_ARGUMENT')
      assert.match(error.message, says)
      assert.equal(error.option, option)
    })
  }
})

test('what is closed is closed', async t => {
  const db = await open(memory)
  await db.put('a', '1')
  const left = db.snapshot()
  const closedSnapshot = db.snapshot()
  closedSnapshot.close()
  const begun = db.range()[Symbol.asyncIterator]()
  await begun.next()
  const calls = {
    get: reader => reader.get('a'),
    getSync: reader => reader.getSync('a'),
    getEntry: reader => reader.getEntry('a'),
    range: reader => reader.range(),
    rangeSync: reader => [...reader.rangeSync()],
    keys: reader => reader.keys(),
    count: reader => reader.count(),
  }
  for (const [name, call] of Object.entries(calls)) {
    assert.equal((await refusal(() => call(closedSnapshot))).message, 'the snapshot is closed', name)
  }
  await db.close()
  await db.close()
  const storeCalls = {
    ...calls,
    put: db => db.put('a', '2'),
    delete: db => db.delete('a'),
    txn: db => db.txn().then(put('a', '2')).commit(),
    snapshot: db => db.snapshot(),
    compact: db => db.compact(2),
    compaction: db => db.compaction,
    revision: db => db.revision,
    durableRevision: db => db.durableRevision,
    status: db => db.status(),
    check: db => db.check(),
    flush: db => db.flush(),
    checkpoint: db => db.checkpoint(),
  }
  for (const [name, call] of Object.entries(storeCalls)) {
    await t.test(name, async () => assert.equal((await refusal(() => call(db))).code, 'CLOSED'))
  }
  for (const call of Object.values(calls)) assert.equal((await refusal(() => call(left))).code, 'CLOSED')
  assert.equal((await refusal(() => begun.next())).code, 'CLOSED')
  left.close()
})

test('bytes that are not what the codec says', async t => {
  const db = await open(memory)
  t.after(() => db.close())
  await db.put(Uint8Array.from([255]), Uint8Array.from([195]), { values: 'bytes' })
  await db.put('text', 'no json')
  const key = Uint8Array.from([255])
  const wrong = [
    [() => db.get(key), /not UTF-8.*values: 'bytes'/],
    [() => db.getEntry(key, { values: 'bytes' }), /key is not UTF-8.*keys: 'bytes'/],
    [() => db.range({ values: 'bytes', from: key }).collect(), /key is not UTF-8/],
    [() => db.keys().collect(), /key is not UTF-8/],
    [() => db.get('text', { values: 'json' }), /not JSON/],
    [() => db.get(key, { values: 'json' }), /not UTF-8/],
  ]
  for (const [call, says] of wrong) {
    const error = await refusal(call)
    assert.equal(error.code, 'INVALID_VALUE')
    assert.match(error.message, says)
  }
  assert.deepEqual(await db.get(key, { values: 'bytes' }), Uint8Array.from([195]))
  assert.equal((await db.status()).snapshots, 0)
})

test('an error is an Error with a name and a code', async () => {
  const error = await refusal(() => open({ storage: 'disk' }))
  assert.ok(error instanceof Error)
  assert.equal(error.name, 'PalimpsestError')
  assert.ok(error.stack.includes('PalimpsestError: the option storage'))
  assert.deepEqual(Object.keys(new PalimpsestError('CLOSED', 'x')), ['code'])
})

test('a signal ends a range with its reason', async t => {
  const db = await open(memory)
  t.after(() => db.close())
  for (let i = 0; i < 500; i += 1) await db.put(`k${i}`, 'v')
  const reason = new Error('enough')
  const controller = new AbortController()
  let seen = 0
  await assert.rejects(async () => {
    for await (const _ of db.range({ signal: controller.signal })) {
      seen += 1
      if (seen === 300) controller.abort(reason)
    }
  }, reason)
  assert.equal(seen, 300)
  assert.equal((await db.status()).snapshots, 0)
  await assert.rejects(db.range({ signal: AbortSignal.abort(reason) }).collect(), reason)
})
