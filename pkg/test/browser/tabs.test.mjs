// Several tabs with one store: one leads, the others go through it, and another one takes over when it goes, in whatever way.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { random } from '../support/ledger.mjs'
import { crash, hang, having, ORIGIN, opened, pause, site } from './driven.mjs'

const SEED = Number(process.env.PALIMPSEST_SEED ?? 1)
const TABS = 5
const STORAGES = ['opfs', 'indexeddb']

/** How a leader goes. What it says to others while it does is up to it. */
const ENDS = {
  closes: page => page.close(),
  'closes its store': async page => {
    await page.evaluate(() => globalThis.db.close().catch(() => {}))
    await page.close()
  },
  'is loaded anew': page => page.reload().then(() => page.close()),
  crashes: crash,
  hangs: async page => {
    await hang(page)
    await pause(12_000)
    await page.close()
  },
}

/** The tabs of one store, and the model: what they were told. */
class Tabs {
  constructor(context, storage) {
    this.context = context
    this.storage = storage
    this.pages = []
    this.begun = 0
    this.written = new Map()
    this.failures = []
  }

  async add() {
    this.begun += 1
    const page = await this.context.newPage()
    await page.exposeFunction('say', line => this.hear(page, line))
    await page.goto(ORIGIN)
    const plan = { name: 'app', storage: this.storage, page: `tab ${this.begun}` }
    await page.evaluate(
      async plan => void (await (await import('/tab-page.js')).begin({ ...plan, say: globalThis.say })),
      plan,
    )
    this.pages.push(page)
  }

  hear(page, line) {
    const found = /^written (.*) (\d+)$/.exec(line)
    // A tab that closes its store itself is told so.
    const isLeaving = !this.pages.includes(page) && line.includes('CLOSED')
    if (found === null && isLeaving) return
    if (found === null) this.failures.push(line)
    else this.written.set(found[1], Number(found[2]))
  }

  async leader() {
    for (let tries = 0; tries < 100; tries += 1) {
      for (const page of this.pages) {
        const { role } = await page.evaluate(() => globalThis.db.status())
        if (role === 'leader') return page
      }
      await pause(20)
    }
    throw new Error('nobody leads')
  }

  async end(way) {
    const page = await this.leader()
    this.pages = this.pages.filter(other => other !== page)
    const leaves = ENDS[way](page)
    await pause(50)
    await leaves
  }

  /** Stops all and compares what they know with what is there. */
  async check() {
    const all = work => Promise.all(this.pages.map(page => page.evaluate(work)))
    await all(async () => (await import('/tab-page.js')).stop())
    const known = await all(async () => (await import('/tab-page.js')).told())
    const entries = await this.pages[0].evaluate(async () => {
      await globalThis.db.check()
      const { entries } = await globalThis.db.range().collect()
      return entries.map(({ key, modRevision, version }) => [key, modRevision, version])
    })
    entries.sort(([, one], [, other]) => one - other)
    assert.deepEqual(this.failures, [])
    assert.deepEqual(
      entries.filter(([, , version]) => version !== 1),
      [],
      'no call was repeated',
    )
    const found = new Map(entries)
    for (const [key, revision] of this.written) assert.equal(found.get(key), revision, key)
    for (const { told, from } of known)
      assert.deepEqual(
        told,
        entries.filter(([, revision]) => revision >= from).map(([key, revision]) => [key, revision]),
        'a watch tells of all, once',
      )
    return { acknowledged: this.written.size, unknown: known.flatMap(({ unknown }) => unknown).length }
  }
}

/** A list in a random order. */
function shuffled(list, below) {
  const from = [...list]
  return list.map(() => from.splice(below(from.length), 1)[0])
}

/** Leaders go at random. */
function goingLeaders(storage) {
  test(`${storage}: five tabs, whose leaders go at random (PALIMPSEST_SEED=${SEED})`, async t => {
    const below = random(SEED)
    const { context, page } = await site(t)
    await page.close()
    const tabs = new Tabs(context, storage)
    for (let count = 0; count < TABS; count += 1) await tabs.add()
    const quick = Object.keys(ENDS).filter(way => way !== 'hangs')
    for (const way of shuffled([...quick, 'hangs'], below)) {
      await pause(below(200))
      await tabs.end(way)
      await tabs.add()
    }
    const { acknowledged, unknown } = await tabs.check()
    t.diagnostic(`${acknowledged} writes acknowledged and found, ${unknown} of unknown outcome`)
    assert.ok(acknowledged > 100, `${acknowledged} writes`)
  })
}

/** Who leads. */
function roles(storage) {
  test(`${storage}: status tells who leads; a follower's calls are the leader's, and it takes over`, async t => {
    const {
      opened: [first, second],
    } = await site(t, { pages: 2 })
    const storageOf = { kind: storage, persistent: true, name: 'app' }
    assert.deepEqual(await opened(first, { storage }), storageOf)
    assert.deepEqual(await opened(second, { storage }), storageOf)
    const role = page => having(page, async db => (await db.status()).role)
    assert.deepEqual([await role(first), await role(second)], ['leader', 'follower'])
    await having(second, db => db.put('a', '1'))
    assert.equal(await having(first, db => db.get('a')), '1')
    await having(first, db => db.close())
    assert.equal(await having(second, db => db.get('a')), '1')
    assert.equal(await role(second), 'leader')
  })
}

/** What is held when the leader goes. */
function held(storage) {
  test(`${storage}: what is held when the leader goes`, async t => {
    const {
      opened: [first, second],
    } = await site(t, { pages: 2 })
    await opened(first, { storage })
    await opened(second, { storage })
    const held = await having(second, async db => {
      for (let at = 0; at < 600; at += 1) await db.put(`k${at}`, 'v', { durability: 'relaxed' })
      await db.flush()
      const lease = await db.grantLease(60_000)
      await db.put('leased', 'v', { lease: lease.id })
      globalThis.snapshot = db.snapshot()
      await db.put('later', 'v')
      globalThis.unread = db.range()[Symbol.asyncIterator]()
      globalThis.read = db.range()[Symbol.asyncIterator]()
      await globalThis.read.next()
      globalThis.lease = lease.id
      return globalThis.snapshot.revision
    })
    assert.equal(held, 602)
    await first.close()
    const after = await having(second, async db => {
      const answers = []
      answers.push(await globalThis.snapshot.count(), (await globalThis.unread.next()).value.key)
      answers.push((await db.lease(globalThis.lease)).ttl > 0 ? 'the lease' : 'no lease')
      try {
        for (;;) if ((await globalThis.read.next()).done) break
        answers.push('read on')
      } catch ({ code, method }) {
        answers.push(code, method)
      }
      return answers
    })
    assert.deepEqual(after, [601, 'k0', 'the lease', 'LEADER_LOST', 'batch'])
  })
}

/** What was not durable is undone by a crash of the leader; a watch that had begun after it tells of what happens instead. */
function undone(storage) {
  test(`${storage}: what a crash of the leader undoes`, async t => {
    const {
      opened: [first, second],
    } = await site(t, { pages: 2 })
    const options = { storage, flushInterval: 600_000 }
    await opened(first, options)
    await opened(second, options)
    await having(second, async db => {
      await db.put('a', '1')
      await db.put('b', '1', { durability: 'relaxed' })
      globalThis.snapshot = db.snapshot()
      const watch = db.watch({ all: true })
      await db.get('b')
      globalThis.told = watch.next()
    })
    await ENDS.crashes(first)
    const { code, keys, b, revision } = await having(second, async db => {
      const { revision } = await db.put('c', '1')
      const { events } = (await globalThis.told).value
      const code = await globalThis.snapshot.get('b').catch(error => error.code)
      return { code, keys: events.map(({ key }) => key), b: await db.get('b'), revision }
    })
    assert.deepEqual([code, keys, b, revision], ['LEADER_LOST', ['c'], undefined, 3])
  })
}

describe('tabs', { concurrency: true }, () => {
  for (const tests of [goingLeaders, roles, held, undone]) for (const storage of STORAGES) tests(storage)

  test('tabs that read values in other ways are refused, and so are workers that have the engine themselves', async t => {
    const {
      opened: [first, second],
    } = await site(t, { pages: 2 })
    await opened(first, {})
    const refused = await opened(second, { values: 'json' })
    assert.equal(refused.code, 'INVALID_ARGUMENT')
    assert.match(refused.message, /values utf8/)
    await having(first, db => db.put('a', '1'))
  })
})
