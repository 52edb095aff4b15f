// What stores are to pages: who has them, what becomes of them when pages go, what is said where they can't be had.
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { hang, having, ORIGIN, opened, pause, site } from './driven.mjs'

const STORAGES = ['opfs', 'indexeddb']

for (const storage of STORAGES) {
  test(`${storage}: what a worker has in its own thread it does not share, until it closes it`, async t => {
    const { page } = await site(t)
    await page.evaluate(
      storage =>
        new Promise(resolve => {
          globalThis.owner = new Worker('/owner.js', { type: 'module' })
          globalThis.owner.onmessage = resolve
          globalThis.owner.postMessage(storage)
        }),
      storage,
    )
    const refused = await opened(page, { storage })
    assert.deepEqual([refused.code, refused.holder], ['LOCKED', 'another tab or worker of this site'])
    assert.ok(refused.ms > 1500 && refused.ms < 10_000, `${refused.ms} ms`)
    const waiting = opened(page, { storage })
    await page.evaluate(() => globalThis.owner.terminate())
    assert.equal((await waiting).kind, storage, 'who waits for it gets it')
    assert.equal(await having(page, db => db.get('a')), '1')
  })

  test(`${storage}: a page that is loaded again, or left, lets go of its store`, async t => {
    const { page, context } = await site(t)
    assert.equal((await opened(page, { storage })).kind, storage)
    await having(page, db => db.put('a', '1'))
    await page.reload()
    assert.equal((await opened(page, { storage })).kind, storage)
    await page.goto(`${ORIGIN}/elsewhere`)
    const other = await context.newPage()
    await other.goto(ORIGIN)
    assert.equal((await opened(other, { storage })).kind, storage)
    assert.equal(await having(other, db => db.get('a')), '1')
  })

  test(`${storage}: where there is no more room, writes are refused with the reason, and reading goes on`, async t => {
    const { page, context } = await site(t)
    const session = await context.newCDPSession(page)
    const allow = quotaSize => session.send('Storage.overrideQuotaForOrigin', { origin: ORIGIN, quotaSize })
    await allow(3_000_000)
    await opened(page, { storage })
    const failed = await having(page, async db => {
      for (let i = 0; ; i += 1) {
        globalThis.acknowledged = i
        await db.put(`k${i}`, 'v'.repeat(50_000))
      }
    })
    assert.equal(failed.code, 'STORAGE', failed.message)
    assert.match(failed.reason, /quota is exceeded/)
    const count = await page.evaluate(() => globalThis.acknowledged)
    assert.ok(count > 5, `${count} writes fit`)
    const refused = await having(page, db => db.put('a', '1'))
    assert.ok(['WRITES_REFUSED', 'STORAGE'].includes(refused.code), refused.code)
    assert.equal((await having(page, db => db.get('k0'))).length, 50_000)
    await having(page, db => db.close())
    await allow(100_000_000)
    await page.reload()
    await opened(page, { storage })
    assert.ok((await having(page, db => db.count())) >= count, 'what was acknowledged is there')
    assert.deepEqual(await having(page, db => db.check().then(() => 'sound')), 'sound')
  })

  test(`${storage}: bytes that are no store are refused and left as they are`, async t => {
    const { page } = await site(t)
    await opened(page, { storage })
    await having(page, db => db.close())
    await page.evaluate(damage, storage)
    const refused = await opened(page, { storage })
    assert.ok(['NOT_A_STORE', 'CORRUPT'].includes(refused.code), JSON.stringify(refused))
    assert.equal((await opened(page, { storage })).code, refused.code, 'and it is not locked')
  })
}

/** Writes over the beginning of the store `app`. */
async function damage(storage) {
  const bytes = new Uint8Array(20_000).fill(7)
  if (storage === 'opfs') {
    const folder = await (await navigator.storage.getDirectory()).getDirectoryHandle('palimpsest-kv')
    const file = await (await folder.getFileHandle('app.plm')).createWritable({ keepExistingData: true })
    await file.write(bytes)
    await file.close()
    return
  }
  const done = request =>
    new Promise((resolve, reject) => {
      request.onsuccess = () => resolve(request.result)
      request.onerror = () => reject(request.error)
    })
  const database = await done(indexedDB.open('palimpsest-kv/app'))
  const change = { cut: 20_000, length: 20_000, parts: [{ at: 0, bytes }] }
  await done(database.transaction(['log'], 'readwrite').objectStore('log').put(change, 1_000_000))
  database.close()
}

for (const storage of [...STORAGES, 'auto']) {
  test(`${storage}: a page makes a store of a copy, all of it or nothing`, async t => {
    const { page, context } = await site(t)
    const made = await page.evaluate(importing, storage)
    assert.deepEqual(made, {
      aborted: 'the user left',
      failed: 'the network is gone',
      ended: true,
      damaged: 'INVALID_SOURCE',
      refused: 'INVALID_ARGUMENT',
      kind: storage === 'auto' ? 'opfs' : storage,
      entries: 3000,
      old: 'v1',
      taken: 'INVALID_ARGUMENT',
      locked: 'LOCKED',
    })
    // Other tabs have it, too.
    const other = await context.newPage()
    await other.goto(ORIGIN)
    await opened(other, { storage, name: 'copy' })
    assert.equal(await having(other, async db => (await db.status()).role), 'follower')
    assert.equal(await having(other, db => db.get('k7')), 'v2')
  })
}

/** Imports a copy of a store in memory, after some tries that fail. */
async function importing(storage) {
  const { importStore, open } = await import('/package.js')
  const db = await open({ storage: 'memory' })
  for (const value of ['v1', 'v2'])
    await Promise.all(Array.from({ length: 3000 }, (_, at) => db.put(`k${at}`, value)))
  const chunks = []
  for await (const chunk of db.export()) chunks.push(chunk)
  const bytes = new Uint8Array(await new Blob(chunks).arrayBuffer())
  const into = { name: 'copy', storage }
  const outcome = (source, options = {}) =>
    importStore(source, { ...into, ...options }).then(
      () => 'imported',
      ({ code, message }) => code ?? message,
    )
  const controller = new AbortController()
  // Its next piece never comes.
  async function* stuck() {
    yield chunks[0]
    setTimeout(() => controller.abort(new Error('the user left')), 20)
    await new Promise(() => {})
  }
  let ended = false
  async function* failing() {
    try {
      yield* chunks.slice(0, 3)
      throw new Error('the network is gone')
    } finally {
      ended = true
    }
  }
  const said = {
    aborted: await outcome(stuck(), { signal: controller.signal }),
    failed: await outcome(failing()),
  }
  said.ended = ended
  const damaged = bytes.slice()
  damaged[bytes.length >> 1] ^= 1
  said.damaged = await outcome(damaged)
  said.refused = await outcome(['text'])
  const copy = await importStore(new Blob(chunks).stream(), into)
  said.kind = copy.storage.kind
  said.entries = await copy.count()
  said.old = await copy.get('k7', { revision: 3001 })
  await copy.close()
  said.taken = await outcome(bytes)
  globalThis.copy = await open(into)
  said.locked = await outcome(bytes)
  return said
}

/** What importing with a worker that does this, once it is asked to, comes to; and how many workers are left. */
async function importedBy(page, source, options = {}) {
  const said = await page.evaluate(
    async ({ source, options, patience }) => {
      const { importStore, open } = await import('/package.js')
      const db = await open({ storage: 'memory' })
      for (let at = 0; at < 20_000; at += 1) db.put(`k${at}`, 'v'.repeat(60))
      const chunks = []
      for await (const chunk of db.export()) chunks.push(chunk)
      const bytes = new Uint8Array(await new Blob(chunks).arrayBuffer())
      const url = URL.createObjectURL(new Blob([source], { type: 'text/javascript' }))
      const worker = source && (() => new Worker(url, { type: 'module' }))
      const controller = new AbortController()
      if (patience) setTimeout(() => controller.abort(new Error('no patience')), patience)
      const largest = { bytes: 0 }
      const post = Worker.prototype.postMessage
      Worker.prototype.postMessage = function (message) {
        largest.bytes = Math.max(largest.bytes, message.bytes?.buffer.byteLength ?? 0)
        return post.call(this, message)
      }
      const plan = { name: 'copy', storage: 'opfs', worker: worker || undefined, signal: controller.signal }
      if (options.lazy) plan.autoCompaction = () => {}
      const came = await importStore(bytes, plan).then(
        copy => copy.close().then(() => 'imported'),
        ({ code, message }) => code ?? message,
      )
      return { came, bytes: bytes.length, largest: largest.bytes }
    },
    { source, options, patience: options.patience },
  )
  await pause(100)
  return { ...said, workers: page.workers().length }
}

test('a page hands an import no more than it asks for, and ends it whatever becomes of the worker', async t => {
  const { page } = await site(t)
  const ways = [
    // It never says anything, and so it is not this package's.
    ['onmessage = () => {}', { patience: 300 }, 'no patience'],
    // It fails in the middle.
    [
      "onmessage = () => { postMessage({ type: 'wanted' }); setTimeout(() => { throw new Error('bug') }) }",
      {},
      'POISONED',
    ],
    // It goes in the middle.
    ["onmessage = () => { postMessage({ type: 'wanted' }); close() }", { patience: 300 }, 'no patience'],
    ['', { lazy: true }, 'INVALID_ARGUMENT'],
  ]
  for (const [source, options, expected] of ways) {
    const { came, workers } = await importedBy(page, source, options)
    assert.deepEqual([came, workers], [expected, 0], source)
  }
  const { came, bytes, largest, workers } = await importedBy(page, '')
  assert.deepEqual([came, workers], ['imported', 0])
  assert.ok(bytes > 1_000_000 && largest > 0 && largest <= 300_000, `${largest} bytes of ${bytes} at once`)
})

test('a page that is left while it makes a store of a copy leaves none, and can make it again', async t => {
  const { page } = await site(t)
  const code = await page.evaluate(async () => {
    const { importStore, open } = await import('/package.js')
    const db = await open({ storage: 'memory' })
    for (let at = 0; at < 500; at += 1) await db.put(`k${at}`, 'v'.repeat(100))
    async function* slow() {
      yield* db.export()
      dispatchEvent(new Event('pagehide'))
      await new Promise(() => {})
    }
    return importStore(slow(), { name: 'app', storage: 'opfs' }).then(
      () => 'imported',
      error => error.code,
    )
  })
  assert.equal(code, 'CLOSED')
  const left = await opened(page, {})
  assert.equal(left.code, 'NOT_A_STORE')
  assert.match(left.message, /import .* was cut short, which can be done again/)
  const count = await page.evaluate(async () => {
    const { importStore, open } = await import('/package.js')
    const db = await open({ storage: 'memory' })
    await db.put('a', '1')
    globalThis.db = await importStore(db.export(), { name: 'app', storage: 'opfs' })
    return globalThis.db.count()
  })
  assert.equal(count, 1)
})

test('auto takes the private file system, or where the store is already', async t => {
  const { page } = await site(t)
  assert.equal((await opened(page, { name: 'new', storage: 'auto' })).kind, 'opfs')
  await having(page, db => db.close())
  await opened(page, { name: 'old', storage: 'indexeddb' })
  await having(page, db => db.put('a', '1').then(() => db.close()))
  assert.equal((await opened(page, { name: 'old', storage: 'auto' })).kind, 'indexeddb')
  assert.equal(await having(page, db => db.get('a')), '1')
})

test('a page that is not served securely is told what it lacks', async t => {
  const origin = ORIGIN.replace('127.0.0.1', 'insecure.test')
  const { page } = await site(t, { origin })
  for (const storage of [...STORAGES, 'auto']) {
    const { code, message } = await opened(page, { storage })
    assert.equal(code, 'UNSUPPORTED', message)
    assert.match(message, /secure/)
  }
  assert.equal((await opened(page, { storage: 'memory', name: undefined })).kind, 'memory')
})

test('a page that may store nothing is told so', async t => {
  const { page } = await site(t, { path: '/sandbox' })
  for (const storage of [...STORAGES, 'auto']) {
    const { code, message } = await opened(page, { storage })
    assert.equal(code, 'UNSUPPORTED', message)
    assert.match(message, /refused? .*here|securely/)
  }
})

test('a damaged page of a file is told with its number, and a closed store says that it is closed', async t => {
  const { page } = await site(t)
  await opened(page, {})
  await having(page, async db => {
    for (let at = 0; at < 200; at += 1)
      await db.put(`k${at}`, `${at} `.repeat(200), { durability: 'relaxed' })
    await db.close()
  })
  assert.equal((await having(page, db => db.get('k0'))).code, 'CLOSED')
  await page.evaluate(async () => {
    const folder = await (await navigator.storage.getDirectory()).getDirectoryHandle('palimpsest-kv')
    const handle = await folder.getFileHandle('app.plm')
    const bytes = new Uint8Array(await (await handle.getFile()).arrayBuffer())
    const text = new TextEncoder().encode('77 77 77 77')
    const file = await handle.createWritable({ keepExistingData: true })
    // Wherever it is: one of these pages may be superseded.
    for (let at = 0; at + text.length <= bytes.length; at += 1)
      if (text.every((byte, of) => bytes[at + of] === byte))
        await file.write({ type: 'write', position: at, data: new Uint8Array([bytes[at] ^ 1]) })
    await file.close()
  })
  const damaged = await opened(page, {})
  assert.equal(damaged.code, 'CORRUPT', JSON.stringify(damaged))
  assert.match(damaged.message, /page \d+/)
})

test('where a policy forbids workers of blobs, one of the page’s own is used', async t => {
  const { page } = await site(t, { path: '/csp' })
  const refused = await opened(page, {})
  assert.equal(refused.code, 'UNSUPPORTED')
  assert.match(refused.message, /worker-src blob:/)
  assert.equal((await opened(page, { makesWorker: true })).kind, 'opfs')
  assert.deepEqual(await having(page, db => db.put('a', '1')), { revision: 2 })
})

test('where a policy forbids WebAssembly, it is told what it must allow', async t => {
  const { page } = await site(t, { path: '/no-wasm' })
  for (const options of [{}, { storage: 'memory', name: undefined }]) {
    const { code, message } = await opened(page, options)
    assert.equal(code, 'UNSUPPORTED', message)
    assert.match(message, /script-src 'wasm-unsafe-eval'/)
  }
})

test('an engine that could not be loaded can be loaded later', async t => {
  const { page } = await site(t)
  const path = join(
    process.env.PALIMPSEST_INSTALLED,
    'node_modules/palimpsest-kv/dist/browser/palimpsest.wasm',
  )
  await page.route('**/engine.wasm', route => route.fulfill({ path, contentType: 'application/wasm' }))
  const said = await page.evaluate(async () => {
    const { init, open } = await import('/slim.js')
    const said = []
    const tried = () =>
      open({ storage: 'memory' }).then(
        db => said.push(db.storage.kind),
        error => said.push(error.code, /palimpsest.wasm/.test(error.message)),
      )
    for (const from of ['/nothing.wasm', '/engine.wasm']) {
      init(fetch(from))
      await tried()
      await tried()
    }
    return said
  })
  assert.deepEqual(said, ['UNSUPPORTED', true, 'UNSUPPORTED', true, 'memory', 'memory'])
})

test('a signal ends a wait, however long the worker is busy', async t => {
  const { page } = await site(t)
  await opened(page, {})
  await having(page, db => db.put('a', '1'))
  await hang(page, 6000)
  await pause(200)
  const { outcomes, ms } = await having(page, async db => {
    const calls = [
      signal => db.range({ signal }).collect(),
      signal => db.keys({ signal })[Symbol.asyncIterator]().next(),
      signal => db.history('a', { signal }).collect(),
      signal => db.diff(1, 2, { signal }).collect(),
      signal => db.dryRun(2, { signal }),
      signal => db.watch('a', { signal }).next(),
    ]
    const outcome = call =>
      call(AbortSignal.timeout(200)).then(
        () => 'answered',
        ({ name }) => name,
      )
    const began = performance.now()
    const outcomes = await Promise.all(calls.map(outcome))
    return { outcomes, ms: performance.now() - began }
  })
  assert.deepEqual(outcomes, Array(6).fill('TimeoutError'))
  assert.ok(ms < 4000, `${ms} ms`)
  assert.equal(await having(page, db => db.get('a')), '1')
})

test('a database that another page deletes is not written to any more', async t => {
  const { page } = await site(t)
  await opened(page, { storage: 'indexeddb' })
  await having(page, db => db.put('a', '1'))
  await page.evaluate(
    () =>
      new Promise((resolve, reject) => {
        const request = indexedDB.deleteDatabase('palimpsest-kv/app')
        request.onsuccess = () => resolve()
        request.onerror = () => reject(request.error)
      }),
  )
  const { code, message } = await having(page, db => db.put('a', '2'))
  assert.equal(code, 'STORAGE', message)
  assert.match(message, /deletes or changes the database/)
  assert.equal(await having(page, db => db.get('a')), '2', 'what is in memory can still be read')
})

test('names and options of browsers are checked', async t => {
  const { page } = await site(t)
  for (const [options, code, says] of [
    [{ name: '' }, 'INVALID_ARGUMENT', /name/],
    [{ name: undefined }, 'INVALID_ARGUMENT', /name/],
    [{ storage: 'memory' }, 'INVALID_ARGUMENT', /name is for the storages/],
    [{ storage: { file: 'x' }, name: undefined }, 'UNSUPPORTED', /no files in a browser/],
    [{ colour: 1 }, 'INVALID_ARGUMENT', /colour/],
    [{ pageBytes: 5 }, 'INVALID_ARGUMENT', /pageBytes/],
  ]) {
    const refused = await opened(page, options)
    assert.equal(refused.code, code, JSON.stringify(options))
    assert.match(refused.message, says)
  }
  const strange = 'a/../b\\c:*?"<>|é\u{1f600}.'
  assert.equal((await opened(page, { name: strange })).name, strange)
})

test('every method of a store in a thread is there from another thread', async t => {
  const { page } = await site(t)
  const names = () =>
    page.evaluate(() => {
      const all = new Set()
      const add = object => {
        for (let of = object; of !== Object.prototype; of = Object.getPrototypeOf(of))
          for (const name of Object.getOwnPropertyNames(of)) all.add(name)
      }
      add(globalThis.db)
      add(globalThis.db.snapshot())
      return [...all].sort()
    })
  await opened(page, { storage: 'memory', name: undefined })
  const here = await names()
  await opened(page, {})
  const elsewhere = await names()
  // How the engine's side is made, which nobody else calls.
  const inner = [
    'instance',
    'background',
    'codecs',
    'parts',
    'compacted',
    'reading',
    'value',
    'entry',
    'cursor',
    'guarded',
    'changing',
    'past',
    'readableAt',
  ]
  assert.deepEqual(
    here.filter(name => !elsewhere.includes(name) && !inner.includes(name)),
    [],
  )
})
