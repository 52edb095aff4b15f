/** One's own data in the inspector: saving, deleting, opening files that are sound and files that are not; and where stores are. */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { open } from 'palimpsest-kv'
import { another, INSECURE, inspector, until, untilKeys, untilSaid } from './browser.mjs'

const folder = mkdtempSync(join(tmpdir(), 'palimpsest-inspector-'))
after(() => rmSync(folder, { recursive: true, force: true }))

async function saved(page, name) {
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('button', { name: 'Save as a file' }).click(),
  ])
  const path = join(folder, name)
  await download.saveAs(path)
  return path
}

async function openFile(page, path) {
  await page.locator('input[type=file]').setInputFiles(path)
}

test('a store is saved, deleted, opened from its file, and the same in Node', async t => {
  const page = await inspector(t)
  await untilKeys(page, 2523)
  const path = await saved(page, 'saved.plm')
  await page.getByRole('button', { name: 'Delete this store' }).click()
  await page.getByRole('button', { name: 'Keep it' }).click()
  await page.getByRole('button', { name: 'Delete this store' }).click()
  await page.getByRole('button', { name: 'Delete it with all of its history' }).click()
  await untilSaid(page, 'This store is empty.')
  await openFile(page, path)
  await untilSaid(page, 'A copy of saved.plm in memory')
  await untilKeys(page, 2523)
  await page.getByRole('button', { name: 'Put', exact: true }).click()
  await untilKeys(page, 2524)
  const changed = await saved(page, 'changed.plm')
  const db = await open({ storage: { file: changed } })
  t.after(() => db.close())
  assert.equal(await db.get('greeting'), 'hello')
  assert.equal(await db.get('release', { revision: 2 }), '1.0.0', 'with all of its history')
  await page.getByRole('button', { name: 'Close the file' }).click()
  await untilSaid(page, 'This store is empty.')
  await page.getByRole('button', { name: 'Write 19 releases of mime-db' }).click()
  await untilKeys(page, 2523)
})

test('a file that is damaged, or no store, is refused in words, and the store that is shown stays', async t => {
  const page = await inspector(t)
  await untilKeys(page, 2523)
  const path = await saved(page, 'sound.plm')
  await untilKeys(page, 2523)
  const bytes = readFileSync(path)
  const wholePages = bytes.length / 4096
  for (let at = 2; at < wholePages; at += 1) bytes[at * 4096 + 2000] ^= 0xff
  const files = [
    { name: 'damaged.plm', content: bytes, words: 'This store is damaged' },
    {
      name: 'words.txt',
      content: 'these are words, and no store at all',
      words: 'This is not a Palimpsest store',
    },
    { name: 'empty.plm', content: '', words: 'empty.plm is empty' },
  ]
  for (const { name, content, words } of files) {
    writeFileSync(join(folder, name), content)
    await openFile(page, join(folder, name))
    await untilSaid(page, words)
    await page.getByRole('button', { name: 'Dismiss' }).click()
  }
  await untilKeys(page, 2523)
})

test('without a private file system it is IndexedDB, without that memory, and the page says so', async t => {
  const page = await inspector(t, { query: '?storage=indexeddb' })
  await untilKeys(page, 2523)
  await untilSaid(page, '(IndexedDB)')
  await page.getByRole('button', { name: 'Check everything' }).click()
  const file = await saved(page, 'indexeddb.plm')
  await untilKeys(page, 2523)
  const db = await open({ storage: { file } })
  t.after(() => db.close())
  await db.check()
  assert.equal(await db.count(), 2523)
  await page.getByRole('button', { name: 'Delete this store' }).click()
  await page.getByRole('button', { name: 'Delete it with all of its history' }).click()
  await untilSaid(page, 'This store is empty.')
  const bare = await inspector(t, { host: INSECURE })
  await untilSaid(bare, 'In memory only: gone when this page is closed')
  await untilSaid(bare, 'This browser does not let the store be where it would be best.')
  await untilKeys(bare, 2523)
})

test('a store that another tab has is seen in both, and in the one that is left', async t => {
  const page = await inspector(t)
  await untilKeys(page, 2523)
  const other = await another(t, page.context())
  await untilKeys(other, 2523)
  await page.close()
  await other.reload()
  await untilKeys(other, 2523)
})

test('after the first visit it starts without a network', async t => {
  const page = await inspector(t)
  await untilKeys(page, 2523)
  await until(page, 'the service worker has it', async () => {
    const ready = await navigator.serviceWorker.ready
    return ready.active?.state === 'activated'
  })
  await page.context().setOffline(true)
  await page.reload()
  await untilKeys(page, 2523)
})
