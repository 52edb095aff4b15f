// What a tab must not lose, and whom it must not wait for, when another tab that leads goes, hangs, stands still or breaks down.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { crash, hang, having, locks, ORIGIN, opened, pause, site, standStill } from './driven.mjs'

const STORAGES = ['opfs', 'indexeddb']

/** A worker whose engine breaks down once `globalThis.breaks` is set. */
const BREAKING = `
const Real = WebAssembly.Instance
WebAssembly.Instance = function (module, imports) {
  const wrapped = {}
  for (const [name, functions] of Object.entries(imports)) {
    wrapped[name] = { ...functions }
    for (const [key, value] of Object.entries(functions))
      if (typeof value === 'function')
        wrapped[name][key] = (...args) => {
          if (globalThis.breaks) throw new Error('broken for a test')
          return value(...args)
        }
  }
  return new Real(module, wrapped)
}`

/** The kind of the storage of a store that was opened; all that is said if it was not. */
const kindOf = answer => answer.kind ?? JSON.stringify(answer)
const inWorker = (page, work) => page.workers()[0].evaluate(work)
const breakDown = page =>
  inWorker(page, () => {
    globalThis.breaks = true
  })

/** Where a page is in a long task while the leader goes. */
function busyPage(storage) {
  test(`${storage}: what a page asks that has not heard yet that the leader has gone is done once`, async t => {
    const {
      opened: [first, second],
    } = await site(t, { pages: 2 })
    await opened(first, { storage })
    await opened(second, { storage })
    await having(second, async db => {
      await db.put('before', '1')
      globalThis.watch = db.watch({ all: true }, { from: 2 })
      await globalThis.watch.next()
      globalThis.snapshot = db.snapshot()
      await globalThis.snapshot.count()
      globalThis.answers = new Promise(resolve => {
        setTimeout(() => {
          const end = performance.now() + 2500
          while (performance.now() < end);
          const calls = [db.put('x', '1'), globalThis.watch.next(), globalThis.snapshot.get('before')]
          resolve(Promise.allSettled(calls))
        }, 200)
      })
    })
    await pause(500)
    await having(first, db => db.close())
    const known = await having(second, async db => {
      const answers = await globalThis.answers
      const [put, told, read] = answers.map(({ value, reason }) => value ?? reason.code)
      const { modRevision, version } = await db.getEntry('x')
      const events = told.value?.events.map(({ key, modRevision }) => [key, modRevision]) ?? told
      return { put: put.revision, events, read, modRevision, version }
    })
    const revision = 3
    assert.deepEqual(known, {
      put: revision,
      events: [['x', revision]],
      read: '1',
      modRevision: revision,
      version: 1,
    })
  })
}

/** What was set while the store was open. */
function settings(storage) {
  test(`${storage}: what was set is not forgotten when the leader goes`, async t => {
    const {
      opened: [first, second],
    } = await site(t, { pages: 2 })
    await opened(first, { storage, quotaBytes: 1_000_000 })
    await opened(second, { storage })
    await having(second, async db => {
      await db.setRetention([{ prefix: 'k', newest: 100 }])
      await db.setQuota(10_000_000)
      for (let at = 0; at < 20; at += 1) await db.put('k', `v${at}`)
    })
    await first.close()
    const kept = await having(second, async db => {
      const { role, retentionRules, quotaBytes } = await db.status()
      await (await db.compact(db.revision)).done
      const { entries } = await db.history('k').collect()
      return [role, retentionRules, quotaBytes, entries.length]
    })
    assert.deepEqual(kept, ['leader', 1, 10_000_000, 20])
    // A tab that comes later and leads in the end knows it, too.
    const third = await second.context().newPage()
    await third.goto(ORIGIN)
    await opened(third, { storage })
    await having(second, db => db.setQuota(undefined))
    await second.close()
    const { retentionRules, quotaBytes } = await having(third, db => db.status())
    assert.deepEqual([retentionRules, quotaBytes ?? 'none'], [1, 'none'])
  })
}

function hanging() {
  test('a leader that hangs is noticed by who only watches, and comes back as a follower', async t => {
    const {
      opened: [first, second],
    } = await site(t, { pages: 2 })
    await opened(first, {})
    await opened(second, {})
    await having(second, db => {
      globalThis.told = db.watch({ all: true }).next()
    })
    // It is found to be there more than once before.
    await pause(6000)
    await hang(first)
    await pause(14_000)
    assert.equal((await having(first, db => db.put('a', '1'))).revision, 2)
    assert.equal(await having(first, async db => (await db.status()).role), 'follower')
    const key = await having(second, async () => (await globalThis.told).value.events[0].key)
    assert.equal(key, 'a')
  })

  test('a tab that opens a store whose leader hangs gets it', async t => {
    const {
      opened: [first, second],
    } = await site(t, { pages: 2 })
    await opened(first, {})
    await hang(first)
    assert.equal(kindOf(await opened(second, {})), 'opfs')
    const role = page => having(page, async db => (await db.status()).role)
    assert.deepEqual([await role(second), await role(first)], ['leader', 'follower'])
  })

  test('a page that is told several times that its worker hangs starts one in its place', async t => {
    const {
      opened: [first, second],
    } = await site(t, { pages: 2 })
    await opened(first, {})
    const [leader] = (await locks(first)).filter(name => name.startsWith('tab/'))
    await opened(second, {})
    await second.evaluate(leader => {
      const line = new BroadcastChannel('palimpsest-kv/opfs/app')
      for (let times = 0; times < 3; times += 1) line.postMessage({ type: 'hung', leader })
    }, leader.slice('tab/'.length))
    for (let tries = 0; tries < 100 && (await locks(first)).includes(leader); tries += 1) await pause(20)
    assert.equal(await having(first, async db => (await db.status()).role), 'follower')
    assert.equal(first.workers().length, 1)
    for (const page of [first, second]) await having(page, db => db.close())
    for (let tries = 0; tries < 100 && (await locks(first)).length > 0; tries += 1) await pause(20)
    assert.deepEqual(await locks(first), [])
  })
}

function standing() {
  test('where a leader and its page stand still, nobody waits for ever, and what was given up is not done later', async t => {
    const {
      opened: [first, second, third],
    } = await site(t, { pages: 3 })
    for (const page of [first, second, third]) await opened(page, {})
    await hang(first, 24_000)
    await standStill(first, 30_000)
    await pause(100)
    const read = having(second, async db => (await db.get('x')) ?? 'nothing')
    const put = having(second, db => db.put('x', '1'))
    const closed = having(third, db => db.close().then(() => 'closed'))
    assert.equal((await put).code, 'LEADER_LOST')
    assert.equal(await closed, 'closed')
    assert.equal(await read, 'nothing')
    assert.equal((await having(second, db => db.put('y', '1'))).revision, 2)
  })

  test('a page whose worker can not even be ended waits for a leader, and others may close', async t => {
    const {
      opened: [first, second],
    } = await site(t, { pages: 2 })
    await opened(first, {})
    await opened(second, {})
    inWorker(first, () => {
      for (;;);
    }).catch(() => {})
    await pause(200)
    const read = having(first, async db => (await db.get('a')) ?? 'nothing')
    await having(second, db => {
      globalThis.closing = db.get('a').then(() => db.close())
      globalThis.closing.catch(() => {})
    })
    assert.equal(await Promise.race([read, pause(22_000).then(() => 'waits')]), 'waits')
    assert.equal(await having(first, db => db.close().then(() => 'closed')), 'closed')
    await first.close()
    assert.equal(await having(second, () => globalThis.closing.then(() => 'closed')), 'closed')
  })
}

function broken() {
  test('a leader whose engine breaks down gives the store to another tab', async t => {
    const {
      opened: [first, second, third],
    } = await site(t, { pages: 3 })
    await opened(first, { patch: BREAKING })
    await opened(second, {})
    await having(second, db => db.put('a', '1'))
    await breakDown(first)
    // Who comes is the first to notice.
    assert.equal(kindOf(await opened(third, {})), 'opfs')
    assert.equal((await having(first, db => db.put('b', '1'))).code, 'POISONED')
    assert.equal(await having(third, db => db.get('a')), '1')
    assert.equal((await having(second, db => db.put('b', '1'))).revision, 3)
    await having(first, db => db.close())
  })

  test('what a broken engine has begun to write does not get into the store of another tab', async t => {
    const {
      opened: [first, second, third],
    } = await site(t, { pages: 3 })
    // A connection that is lost once is made anew, a second later.
    const losing = `
const real = IDBDatabase.prototype.transaction
IDBDatabase.prototype.transaction = function (stores, mode, options) {
  if (globalThis.loses && mode === 'readwrite') throw new DOMException('lost for a test', 'InvalidStateError')
  return real.call(this, stores, mode, options)
}`
    await opened(first, { storage: 'indexeddb', patch: BREAKING + losing, flushInterval: 1 })
    await opened(second, { storage: 'indexeddb' })
    await inWorker(first, () => {
      globalThis.loses = true
    })
    await having(first, db => db.put('a', '1', { durability: 'relaxed' }))
    await pause(500)
    await breakDown(first)
    assert.equal((await having(first, db => db.put('a', '2'))).code, 'POISONED')
    await inWorker(first, () => {
      globalThis.loses = false
    })
    for (const key of ['b', 'c', 'd']) await having(second, (db, key) => db.put(key, '2'), key)
    await pause(1500)
    await crash(second)
    assert.equal(kindOf(await opened(third, { storage: 'indexeddb' })), 'indexeddb')
    const keys = await having(third, async db => (await db.keys().collect()).entries)
    assert.deepEqual(keys, ['b', 'c', 'd'])
  })

  test('a store that refuses to write is opened again for whoever opens it', async t => {
    const {
      opened: [first, second],
      context,
    } = await site(t, { pages: 2 })
    const session = await context.newCDPSession(first)
    const allow = quotaSize => session.send('Storage.overrideQuotaForOrigin', { origin: ORIGIN, quotaSize })
    await allow(3_000_000)
    await opened(first, {})
    await opened(second, {})
    const failed = await having(second, async db => {
      for (let at = 0; ; at += 1) await db.put(`k${at}`, 'v'.repeat(50_000))
    })
    assert.equal(failed.code, 'STORAGE')
    await allow(100_000_000)
    assert.equal((await having(second, db => db.close())).code, 'WRITES_REFUSED')
    assert.equal(kindOf(await opened(second, {})), 'opfs')
    for (const page of [second, first])
      assert.equal(typeof (await having(page, db => db.put('z', '1'))).revision, 'number')
    assert.equal(await having(second, async db => (await db.status()).role), 'follower')
    assert.equal(await having(second, db => db.check().then(() => 'sound')), 'sound')
  })
}

function coming() {
  test('a leader that goes before it lets a tab in is no reason to refuse it', async t => {
    const {
      opened: [first, second],
    } = await site(t, { pages: 2 })
    const deaf = `
const post = BroadcastChannel.prototype.postMessage
BroadcastChannel.prototype.postMessage = function (message) {
  if (message.type !== 'opened') return post.call(this, message)
  globalThis.isJoined = true
}`
    await opened(first, { patch: deaf })
    const opening = opened(second, {})
    while (!(await inWorker(first, () => globalThis.isJoined === true))) await pause(20)
    await having(first, db => db.close())
    assert.equal(kindOf(await opening), 'opfs')
  })

  test('who waits for a leader that takes long to open the store is not refused', async t => {
    const {
      opened: [first, second],
    } = await site(t, { pages: 2 })
    const slow = `
const real = StorageManager.prototype.getDirectory
StorageManager.prototype.getDirectory = async function () {
  await new Promise(resolve => setTimeout(resolve, 18_000))
  return real.call(this)
}`
    const leading = opened(first, { patch: slow })
    while (!(await locks(second)).includes('leader/opfs/app')) await pause(20)
    assert.equal(kindOf(await opened(second, {})), 'opfs')
    assert.equal(kindOf(await leading), 'opfs')
  })

  test('auto: tabs share a store where the private file system is refused', async t => {
    const {
      opened: [first, second],
    } = await site(t, { pages: 2 })
    const patch = `
StorageManager.prototype.getDirectory = () =>
  Promise.reject(new DOMException('refused for a test', 'SecurityError'))`
    for (const page of [first, second])
      assert.equal(kindOf(await opened(page, { storage: 'auto', patch })), 'indexeddb')
    await having(second, db => db.put('a', '1'))
    assert.equal(await having(first, db => db.get('a')), '1')
  })
}

function living() {
  test('a file that another one has is waited for, whatever the browser calls it', async t => {
    const { page } = await site(t)
    const held = millis => `
const began = performance.now()
const real = FileSystemFileHandle.prototype.createSyncAccessHandle
FileSystemFileHandle.prototype.createSyncAccessHandle = async function () {
  if (performance.now() - began < ${millis}) throw new DOMException('held for a test', 'InvalidStateError')
  return real.call(this)
}`
    assert.equal((await opened(page, { patch: held(60_000) })).code, 'LOCKED')
    assert.equal(kindOf(await opened(page, { patch: held(500) })), 'opfs')
  })

  test('the page that leads has a lock, so that the browser does not stop it', async t => {
    const {
      opened: [first, second],
    } = await site(t, { pages: 2 })
    await opened(first, {})
    await opened(second, {})
    const pages = async () => (await locks(second)).filter(name => name.startsWith('page/'))
    const [one, ...others] = await pages()
    assert.deepEqual([typeof one, others], ['string', []])
    await having(first, db => db.close())
    await having(second, db => db.get('a'))
    const [other, ...more] = await pages()
    assert.deepEqual([typeof other, other === one, more], ['string', false, []])
    await having(second, db => db.close())
    assert.deepEqual(await pages(), [])
  })

  test('a page that is left while it opens a store gives it back', async t => {
    const { page } = await site(t)
    const code = await page.evaluate(async () => {
      const { open } = await import('/package.js')
      const opening = open({ name: 'app', storage: 'opfs' })
      setTimeout(() => dispatchEvent(new Event('pagehide')), 1)
      return opening.then(
        () => 'opened',
        error => error.code,
      )
    })
    assert.equal(code, 'CLOSED')
    await pause(500)
    assert.deepEqual([page.workers().length, await locks(page)], [0, []])
    assert.equal(kindOf(await opened(page, {})), 'opfs')
  })
}

describe('takeover', { concurrency: 8 }, () => {
  for (const tests of [busyPage, settings]) for (const storage of STORAGES) tests(storage)
  for (const tests of [hanging, standing, broken, coming, living]) tests()
})
