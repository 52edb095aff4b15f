/** The examples do what they say: in Node, and the one for React in a page of Chromium. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { build } from 'esbuild'
import { open } from 'palimpsest-kv'
import { launch } from '../../pkg/test/browser/chromium.mjs'
import { OfflineCache } from '../examples/offline-cache.mjs'
import { UndoableDocument } from '../examples/undo.mjs'

async function store(t, options) {
  const db = await open({ storage: 'memory', ...options })
  t.after(() => db.close())
  return db
}

test('a document goes back and forth, also when it was opened again', async t => {
  const db = await store(t)
  const document = await UndoableDocument.open(db, 'note')
  assert.equal(await document.text(), undefined)
  for (const text of ['a', 'ab', 'abc']) await document.write(text)
  assert.deepEqual([await document.undo(), await document.text()], [true, 'ab'])
  assert.equal(await db.get('note'), 'ab', 'others see it, too')
  assert.deepEqual([await document.undo(), await document.undo(), await document.text()], [true, false, 'a'])
  assert.deepEqual([await document.redo(), await document.text()], [true, 'ab'])
  await document.write('xyz')
  assert.deepEqual([await document.redo(), await document.text()], [false, 'xyz'])
  const again = await UndoableDocument.open(db, 'note')
  assert.equal(await again.text(), 'xyz')
  assert.deepEqual([await again.undo(), await again.text()], [true, 'ab'], 'its history is the store’s')
})

test('a cache answers without a network, stays within its quota, and keeps what was used last', async t => {
  const quotaBytes = 512 * 1024
  const db = await store(t, { quotaBytes, compactionPause: 0 })
  let isOnline = true
  let visit = 1
  const fetched = async address => {
    if (!isOnline) throw new Error('no network')
    return `${address} ${visit}`.padEnd(2000, '.')
  }
  const cache = await OfflineCache.open(db, fetched)
  for (let at = 0; at < 1000; at += 1) {
    await cache.get(`/article/${at}`)
    assert.ok((await db.status()).usedBytes <= quotaBytes)
  }
  assert.equal(await cache.previous('/article/999'), undefined)
  for (visit = 2; visit < 5; visit += 1) await cache.get('/article/999')
  await (await db.compact(db.revision)).done
  isOnline = false
  assert.match(await cache.get('/article/999'), /^\/article\/999 4\.+$/)
  assert.match(await cache.previous('/article/999'), /^\/article\/999 3\.+$/)
  await assert.rejects(cache.get('/article/0'), /no network/)
  assert.ok((await db.count()) > 50, 'most of the room is used')
})

/** A page with a list of what a store has, and a button that adds to it. */
const PAGE = `
import { createElement } from 'react'
import { createRoot } from 'react-dom/client'
import { open } from 'palimpsest-kv'
import { useEntries } from './use-entries.mjs'

function List({ db }) {
  const entries = useEntries(db, 'todo/')
  return createElement('ul', {}, [...entries].map(([key, text]) => createElement('li', { key }, text)))
}

const db = await open({ storage: 'memory' })
await db.put('todo/1', 'write')
await db.put('other', 'not shown')
globalThis.db = db
const root = createRoot(document.body)
root.render(createElement(List, { db }))
globalThis.unmount = () => root.unmount()
`

test('a React component shows what is there, and what changes', async t => {
  const resolveDir = new URL('../examples', import.meta.url).pathname
  const bundled = await build({
    stdin: { contents: PAGE, resolveDir },
    bundle: true,
    write: false,
    format: 'esm',
    logLevel: 'error',
    conditions: ['browser', 'import'],
    define: { 'process.env.NODE_ENV': '"production"' },
  })
  const browser = await launch()
  t.after(() => browser.close())
  const page = await browser.newPage()
  await page.setContent('<!doctype html><body></body>')
  await page.addScriptTag({ type: 'module', content: bundled.outputFiles[0].text })
  const shown = expected =>
    page.waitForFunction(
      expected => [...document.querySelectorAll('li')].map(item => item.textContent).join() === expected,
      expected,
      { timeout: 20_000 },
    )
  await shown('write')
  await page.evaluate(() => Promise.all([db.put('todo/2', 'read'), db.put('other', 'still not')]))
  await shown('write,read')
  await page.evaluate(() => db.delete('todo/1'))
  await shown('read')
  assert.equal(await page.evaluate(async () => (await db.status()).watchers), 1)
  await page.evaluate(() => unmount())
  await page.waitForFunction(async () => (await db.status()).watchers === 0, undefined, { timeout: 20_000 })
})
