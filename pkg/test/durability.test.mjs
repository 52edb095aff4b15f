// When a write is acknowledged: strict writes of one turn of the event loop share one sync, relaxed ones wait for none.
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { open, PalimpsestError, put } from 'palimpsest-kv'
import { freshFolder, inProcess, Medium, refusal } from './support/help.mjs'

/** A store on a medium whose calls are counted from here on. */
async function opened(options = {}) {
  const storage = new Medium()
  const db = await open({ storage, ...options })
  storage.calls.length = 0
  return { db, storage, syncs: () => storage.calls.filter(name => name === 'sync').length }
}

const writes = {
  put: (db, options) => db.put('a', 'new', options),
  delete: (db, options) => db.delete({ prefix: 'a' }, options),
  transaction: (db, options) => db.txn().then(put('a', 'new')).commit(options),
}

/** What is in a copy of the medium as it is now, as after a crash. */
async function afterCrash(storage) {
  const copy = new Medium()
  copy.bytes = storage.bytes.slice()
  return open({ storage: copy })
}

test('all strict writes of a turn are applied at once and share one sync', async t => {
  const { db, storage, syncs } = await opened()
  t.after(() => db.close())
  const promises = Array.from({ length: 1000 }, (_, i) => db.put(`k${i}`, String(i)))
  promises.push(db.delete('k0'), db.txn().then(put('k1', 'new')).commit())
  let answered = 0
  for (const promise of promises) promise.then(() => (answered += 1))
  assert.deepEqual([db.getSync('k999'), await db.get('k0'), await db.get('k1')], ['999', undefined, 'new'])
  assert.deepEqual([db.revision, db.durableRevision, syncs(), answered], [1003, 1, 0, 0])
  const answers = await Promise.all(promises)
  assert.deepEqual([syncs(), db.durableRevision], [1, 1003])
  assert.deepEqual(
    answers.map(({ revision }) => revision),
    answers.map((_, i) => i + 2),
  )
  const again = await afterCrash(storage)
  assert.deepEqual([again.revision, again.getSync('k1')], [1003, 'new'])
  await again.close()
})

for (const store of [undefined, 'strict', 'relaxed']) {
  for (const call of [undefined, 'strict', 'relaxed']) {
    test(`a write asked to be ${call} on a store that is ${store}`, async () => {
      const isStrict = (call ?? store ?? 'strict') === 'strict'
      for (const [name, write] of Object.entries(writes)) {
        const { db, syncs } = await opened({ durability: store, flushInterval: 60_000 })
        await db.put('a', '1', { durability: 'relaxed' })
        const { revision } = await write(db, call && { durability: call })
        assert.equal(revision, 3, name)
        assert.deepEqual([syncs(), db.durableRevision], isStrict ? [1, 3] : [0, 1], name)
        await db.close()
      }
    })
  }
}

test('a strict answer tells only of what is durable, even if it changed nothing', async t => {
  const { db, syncs } = await opened({ flushInterval: 60_000 })
  t.after(() => db.close())
  await db.put('a', '1', { durability: 'relaxed' })
  assert.deepEqual([await db.delete('b'), syncs(), db.durableRevision], [{ revision: 2, deleted: 0 }, 1, 2])
  const taken = db.txn().if(db.compare('a').version.equals(0)).then(put('a', '2'))
  assert.deepEqual([(await taken.commit()).succeeded, syncs()], [false, 1])
})

test('in memory every write is acknowledged at once and counts as durable', async t => {
  for (const durability of ['strict', 'relaxed']) {
    const db = await open({ storage: 'memory', durability })
    t.after(() => db.close())
    let isAnswered = false
    db.put('a', '1', { durability: 'strict' }).then(() => (isAnswered = true))
    await Promise.resolve()
    assert.deepEqual([isAnswered, db.durableRevision, (await db.status()).durableRevision], [true, 2, 2])
  }
})

for (const operation of ['write', 'sync']) {
  test(`a ${operation} that fails rejects all strict writes of the turn with one error`, async t => {
    const { db, storage } = await opened()
    t.after(() => refusal(() => db.close()))
    await db.put('a', '1')
    storage.before = name => {
      if (name === operation) throw new Error('the disk is full')
    }
    const relaxed = db.put('r', '1', { durability: 'relaxed' })
    const errors = await Promise.all([
      refusal(() => db.put('b', '2')),
      refusal(() => db.delete('a')),
      refusal(() => db.txn().then(put('c', '3')).commit()),
    ])
    for (const error of errors) assert.equal(error, errors[0])
    assert.deepEqual([errors[0].code, errors[0].operation], ['STORAGE', operation])
    assert.equal((await relaxed).revision, 3)
    assert.deepEqual([db.revision, db.durableRevision], [6, 2])
    storage.before = () => undefined
    assert.equal((await refusal(() => db.put('d', '4'))).code, 'WRITES_REFUSED')
    await turn()
    assert.equal(db.durableRevision, 2)
  })
}

const syncing = {
  flush: db => db.flush(),
  checkpoint: db => db.checkpoint(),
  compact: db => db.compact(2),
  close: db => db.close(),
}

for (const [name, call] of Object.entries(syncing)) {
  test(`${name} acknowledges the writes that wait, or rejects them`, async t => {
    for (const isFailing of [false, true]) {
      const { db, storage } = await opened()
      await db.put('a', '1')
      const order = []
      const write = db.put('a', '2').then(
        () => order.push('written'),
        error => order.push(error.code),
      )
      if (isFailing) {
        storage.before = operation => {
          if (operation === 'sync') throw new Error('the disk is full')
        }
      }
      const other = call(db).then(
        () => order.push(name),
        () => order.push('failed'),
      )
      await Promise.all([write, other])
      assert.deepEqual(order, isFailing ? ['STORAGE', 'failed'] : ['written', name])
      storage.before = () => undefined
      if (!isFailing) {
        const again = await afterCrash(storage)
        assert.equal(again.getSync('a'), '2')
        await again.close()
      }
      if (name !== 'close') t.after(() => db.close().catch(() => {}))
    }
  })
}

test('a call that is refused leaves the writes that wait as they are', async t => {
  const { db, syncs } = await opened()
  t.after(() => db.close())
  const write = db.put('a', '1')
  for (const call of [
    () => db.compact(9),
    () => db.put('', 'x'),
    () => db.put('b', 'x', { durability: 'eager' }),
  ])
    await refusal(call)
  assert.equal(syncs(), 0)
  assert.deepEqual([await write, syncs()], [{ revision: 2 }, 1])
})

test('a program ends only after its strict writes are acknowledged', async t => {
  const file = join(freshFolder(t), 'store.plm')
  const source = `
    import { open } from 'palimpsest-kv'
    const db = await open({ storage: { file: process.argv[1] } })
    for (const key of ['a', 'b']) db.put(key, '1').then(({ revision }) => console.log(key, db.durableRevision >= revision))`
  const end = await inProcess(source, { args: [file] })
  assert.deepEqual([end.code, end.stdout], [0, 'a true\nb true\n'], end.stderr)
})

for (const [what, chain] of Object.entries({
  'strict puts in a file': db => db.put('a', '1'),
  'relaxed transactions': db => db.txn().then(put('a', '1')).commit({ durability: 'relaxed' }),
  'relaxed deletes': db => db.delete('a', { durability: 'relaxed' }),
})) {
  test(`a chain of awaited ${what} lets the program run`, async t => {
    const db = await open({ storage: { file: join(freshFolder(t), 'store.plm') } })
    t.after(() => db.close())
    let ticks = 0
    const timer = setInterval(() => (ticks += 1), 1)
    const end = performance.now() + 3000
    while (ticks <= 3 && performance.now() < end) await chain(db)
    clearInterval(timer)
    assert.ok(ticks > 3, `${ticks} turns for the timer`)
  })
}

/** A medium that can't be waited for: what was synced is durable when the test says so. */
class LateMedium extends Medium {
  #settling = Promise.resolve()

  /** Answers how what is synced from now on is made durable, or not. */
  hold() {
    const held = {}
    this.#settling = new Promise((resolve, reject) => Object.assign(held, { resolve, reject }))
    return held
  }

  settled() {
    return this.#settling
  }
}

/** Whether a promise is still neither fulfilled nor rejected after some turns. */
async function isPending(promise) {
  const nothing = {}
  for (let turns = 0; turns < 5; turns += 1) await turn()
  return (await Promise.race([promise, Promise.resolve(nothing)])) === nothing
}

test('where a sync only begins, answers, watches and the durable revision wait for its end', async t => {
  const storage = new LateMedium()
  const db = await open({ storage })
  t.after(() => db.close())
  const watch = db.watch('a')
  const calls = [
    () => db.put('a', '1'),
    () => db.flush(),
    () => db.checkpoint(),
    () => db.compact(2),
    () => db.delete('nothing'),
  ]
  for (const call of calls) {
    const held = storage.hold()
    const before = db.durableRevision
    const answer = call()
    const told = watch.next()
    assert.equal(await isPending(answer), true, `${call}`)
    assert.equal(await isPending(told), true, `the watch, ${call}`)
    assert.equal(db.durableRevision, before)
    held.resolve()
    await answer
    assert.equal(db.durableRevision, 2)
    if (call === calls[0]) assert.equal((await told).value.events[0].value, '1')
  }
})

test('how far a watch is counts what is durable and handed out, and no more', async t => {
  const storage = new LateMedium()
  const db = await open({ storage })
  t.after(() => db.close())
  const controller = new AbortController()
  const [watch, ended] = [db.watch('a'), db.watch('a', { signal: controller.signal })]
  const silent = db.watch('b')
  const held = storage.hold()
  const answer = db.put('a', '1')
  const [told, given] = [watch.next(), ended.next()]
  assert.equal(await isPending(told), true)
  assert.deepEqual(
    [watch.revision, ended.revision, silent.revision],
    [1, 1, 1],
    'nothing that a crash undoes',
  )
  const reason = new Error('enough')
  controller.abort(reason)
  await assert.rejects(given, reason, 'however long the storage takes')
  held.resolve()
  await answer
  assert.equal((await told).value.events[0].value, '1')
  assert.deepEqual([watch.revision, ended.revision, silent.revision], [2, 1, 2])
})

test("a watch whose batch can't be made durable ends with that, since it has not told of everything", async () => {
  const storage = new LateMedium()
  const db = await open({ storage })
  const watch = db.watch('a')
  const held = storage.hold()
  const answer = refusal(() => db.put('a', '1'))
  const told = refusal(() => watch.next())
  for (let turns = 0; turns < 3; turns += 1) await turn()
  held.reject(new PalimpsestError('STORAGE', 'the disk is full', { operation: 'write' }))
  assert.deepEqual([(await answer).code, (await told).code], ['STORAGE', 'STORAGE'])
  assert.deepEqual([watch.revision, await watch.next()], [1, { done: true, value: undefined }])
  assert.equal((await refusal(() => db.close())).code, 'STORAGE')
})

test('where a sync fails later, all who wait for it are told, and so is who closes the store', async () => {
  const storage = new LateMedium()
  const db = await open({ storage })
  const held = storage.hold()
  const answers = [db.put('a', '1'), db.txn().then(put('b', '2')).commit()].map(answer =>
    refusal(() => answer),
  )
  for (let turns = 0; turns < 3; turns += 1) await turn()
  held.reject(new PalimpsestError('STORAGE', 'the disk is full', { operation: 'write' }))
  for (const { code, operation } of await Promise.all(answers))
    assert.deepEqual([code, operation], ['STORAGE', 'write'])
  assert.equal(db.durableRevision, 1)
  assert.equal((await refusal(() => db.close())).code, 'STORAGE')
})
