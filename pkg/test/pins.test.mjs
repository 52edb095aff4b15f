// What compaction leaves: pins, rules of retention, thinning, and watches that it waits for.
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { open } from 'palimpsest-kv'
import { freshFolder, refusal, staysAlive } from './support/help.mjs'

async function fresh(t, options = {}) {
  const db = await open({ storage: 'memory', compactionPause: 0, ...options })
  t.after(() => db.close())
  staysAlive(t)
  return db
}

/** Fulfilled once background work has nothing to remove. */
async function settled(db) {
  while ((await db.status()).isCompacting) await pause(2)
}

test('a pinned revision reads as it was, until the pin is removed', async t => {
  const db = await fresh(t)
  await db.put('a', '1')
  await db.put('b', '1')
  assert.deepEqual(await db.pin('monday'), { revision: 3 })
  await db.put('a', '2')
  await db.delete('b')
  await db.put('a', '3')
  await (await db.compact(db.revision)).done
  assert.equal(await db.get('a', { revision: 3 }), '1')
  assert.equal(
    await db
      .range({ revision: 3 })
      .collect()
      .then(page => page.entries.length),
    2,
  )
  assert.equal((await refusal(() => db.get('a', { revision: 4 }))).code, 'COMPACTED')
  assert.deepEqual(await db.pins(), [{ name: 'monday', revision: 3, expires: undefined, heldRecords: 2 }])
  const { pins, records } = await db.status()
  assert.deepEqual([pins, records], [1, 4])
  const snapshot = db.snapshot({ revision: 3 })
  assert.equal(await db.unpin('monday'), undefined)
  await settled(db)
  assert.equal((await refusal(() => db.get('a', { revision: 3 }))).code, 'COMPACTED')
  assert.equal(await snapshot.get('b'), '1')
  snapshot.close()
  assert.equal((await db.status()).records, 1)
})

test('pins move, end, and outlive the program', async t => {
  const storage = { file: join(freshFolder(t), 'pins.plm') }
  let db = await open({ storage })
  for (const value of ['1', '2', '3']) await db.put('a', value)
  await db.pin('moving', 2)
  await db.pin('moving', 3)
  // Long enough for the store to be opened again before, on a busy machine, too.
  const soon = new Date(Date.now() + 2000)
  await db.pin('ending', 2, { expires: soon, durability: 'strict' })
  await db.pin('later', 2, { expires: Date.now() + 3_600_000 })
  await db.close()
  db = await open({ storage })
  t.after(() => db.close())
  staysAlive(t)
  assert.deepEqual(
    (await db.pins()).map(({ name, revision, expires }) => [name, revision, typeof expires]),
    [
      ['ending', 2, 'number'],
      ['later', 2, 'number'],
      ['moving', 3, 'undefined'],
    ],
  )
  assert.equal((await db.pins())[0].expires, soon.getTime())
  while ((await db.pins()).length === 3) await pause(10)
  assert.ok(Date.now() >= soon.getTime())
  assert.deepEqual(
    (await db.pins()).map(pin => pin.name),
    ['later', 'moving'],
  )
})

const refused = [
  [db => db.pin(''), 'EMPTY_PIN_NAME', /at least one byte/, {}],
  [db => db.pin('ä'.repeat(128)), 'PIN_NAME_TOO_LONG', /256 bytes/, { bytes: 256, limit: 255 }],
  [db => db.pin('$own'), 'PIN_NAME_RESERVED', /\$own/, { pin: '$own' }],
  [db => db.pin('a', 2), 'COMPACTED', /2/, { requested: 2, compacted: 3 }],
  [db => db.pin('a', 9), 'FUTURE_REVISION', /9/, { requested: 9, current: 3 }],
  [db => db.unpin('nobody'), 'PIN_NOT_FOUND', /nobody/, { pin: 'nobody' }],
  [db => db.pin(5), 'INVALID_ARGUMENT', /a pin's name must be a text/, {}],
  [db => db.pin('\ud800'), 'INVALID_ARGUMENT', /a pin's name must be a text/, {}],
  [db => db.pin('a', -1), 'INVALID_ARGUMENT', /a revision must be/, {}],
  [db => db.pin('a', 3, { until: 5 }), 'INVALID_ARGUMENT', /no option "until".*expires/, { option: 'until' }],
  [
    db => db.pin('a', 3, { expires: 'noon' }),
    'INVALID_ARGUMENT',
    /expires must be a Date/,
    { option: 'expires' },
  ],
  [db => db.pin('a', 3, { expires: new Date(NaN) }), 'INVALID_ARGUMENT', /expires/, { option: 'expires' }],
  [db => db.unpin('a', { expires: 5 }), 'INVALID_ARGUMENT', /no option "expires"/, { option: 'expires' }],
]

test('bad pins are refused with nothing changed', async t => {
  const db = await fresh(t)
  await db.put('a', '1')
  await db.put('a', '2')
  await db.compact(3)
  for (const [call, code, says, fields] of refused) {
    const error = await refusal(() => call(db))
    assert.equal(error.code, code, String(call))
    assert.match(error.message, says)
    for (const [name, value] of Object.entries(fields)) assert.equal(error[name], value, name)
  }
  assert.deepEqual(await db.pins(), [])
})

test('compaction waits for a watch that holds, within its bound', async t => {
  const db = await fresh(t)
  const watch = db.watch('a', { hold: { revisions: 10 }, previous: true })
  for (const value of ['1', '2', '3']) await db.put('a', value)
  await (await db.compact(db.revision)).done
  const { value } = await watch.next()
  assert.deepEqual(
    value.events.map(event => [event.value, event.previous?.value]),
    [
      ['1', undefined],
      ['2', '1'],
      ['3', '2'],
    ],
  )
  await settled(db)
  assert.equal((await db.status()).records, 1)
  for (let number = 0; number < 11; number += 1) await db.put('a', String(number))
  const error = await refusal(() => watch.next())
  assert.equal(error.code, 'HOLD_EXCEEDED')
  assert.deepEqual([error.bound, error.limit, error.behind], ['revisions', 10, 11])
  assert.equal((await watch.next()).done, true)
  for (const hold of [{}, 5, { records: 5 }, { bytes: -1 }])
    assert.equal((await refusal(() => db.watch('a', { hold }))).code, 'INVALID_ARGUMENT')
})

test('history gets thinner by itself', async t => {
  const step = { every: 100, keepFor: 60_000 }
  // The store may be there, and thinned, some time before this program hears of it.
  const asked = Date.now()
  const db = await fresh(t, { thinning: { allFor: 50, steps: [step] } })
  const start = Date.now()
  let [pins, isThinned] = [[], false]
  while (Date.now() - start < 500 || (!isThinned && Date.now() - start < 20_000)) {
    await db.put('time', String(Date.now()))
    await pause(5)
    pins = await db.pins()
    isThinned = pins.length >= 4 && (await db.status()).compacted > 1
  }
  const intervals = (Date.now() - asked) / step.every
  assert.ok(pins.length >= 4 && pins.length <= intervals + 2, `${pins.length} pins in ${intervals} intervals`)
  assert.ok(pins.every(pin => pin.name.startsWith('$thinning/100/') && pin.expires >= asked + 60_000))
  // Those of before the first put have nothing.
  const written = pins.filter(pin => pin.revision > 1)
  for (const { revision } of written)
    assert.ok(await db.get('time', { revision }), `revision ${revision} has its value`)
  // Asked for together, so that what is put is young when the store is looked at.
  const [{ revision }, { compacted }] = await Promise.all([db.put('time', ''), db.status()])
  assert.ok(compacted > 1 && compacted < revision, `${compacted} of ${revision}`)
  await db.setThinning('off')
  await db.setThinning('default')
  for (const thinning of [
    'on',
    5,
    {},
    { allFor: 0 },
    { allFor: 50, every: 5 },
    { allFor: 50, steps: [{ every: 5 }] },
  ]) {
    const error = await refusal(() => db.setThinning(thinning))
    assert.equal(error.code, 'INVALID_ARGUMENT', JSON.stringify(thinning))
    assert.equal((await refusal(() => open({ storage: 'memory', thinning }))).code, 'INVALID_ARGUMENT')
  }
})

test('rules of retention keep the newest versions', async t => {
  const retention = [{ prefix: 'a', newest: 3 }, { prefix: 'ab' }]
  const db = await fresh(t, { retention })
  for (let number = 0; number < 5; number += 1)
    for (const key of ['a', 'ab', 'c']) await db.put(key, String(number))
  await (await db.compact(db.revision)).done
  const { records, retentionRules } = await db.status()
  assert.deepEqual([records, retentionRules], [5, 2])
  await db.setRetention([{ prefix: Uint8Array.of(97), forAtLeast: 100 }])
  await db.put('a', 'last')
  await (await db.compact(db.revision)).done
  while ((await db.status()).records > 3) await pause(20)
  await db.setRetention([{ prefix: '', newest: 10_000 }])
  for (const [rules, says] of [
    [{}, /must be a list/],
    [[5], /must be \{ prefix/],
    [[{}], /key/],
    [[{ prefix: 'a', newset: 5 }], /no option "newset"/],
    [[{ prefix: 'a', newest: 0 }], /newest must be/],
    [[{ prefix: 'a', newest: 10_001 }], /retention.*10000/],
    [[{ prefix: 'a' }, { prefix: 'a' }], /two rules/],
  ]) {
    const error = await refusal(() => db.setRetention(rules))
    assert.equal(error.code, 'INVALID_ARGUMENT', JSON.stringify(rules))
    assert.match(error.message, says)
  }
})
