/** The guided run: each of its sentences is held against the map of pages and the file's size. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inspector, pagesOf, until, untilKeys } from './browser.mjs'

const STEPS = ['Write', 'Overwrite', 'Compact', 'Write again', 'Shrink']

async function seen(page) {
  const words = await page.getByTestId('status').innerText()
  const [, size] = /The file has ([\d.,]+ \w+)/.exec(words)
  const uses = ['free', 'pending', 'leaf', 'meta']
  const counts = await Promise.all(uses.map(async use => [use, await pagesOf(page, use)]))
  return { size, ...Object.fromEntries(counts) }
}

test('five steps show what compaction does to pages, and what it does not', async t => {
  const page = await inspector(t)
  await untilKeys(page, 2523)
  const states = []
  for (const [at, name] of STEPS.entries()) {
    await page.getByRole('button', { name: `${at + 1} ${name}`, exact: true }).click()
    await until(
      page,
      `step ${name} is done`,
      at => document.querySelectorAll('.step')[at].classList.contains('done'),
      at,
    )
    states.push(await seen(page))
  }
  const [written, overwritten, compacted, again, shrunk] = states
  assert.notEqual(overwritten.size, written.size, 'no version is lost, so the file grows')
  assert.ok(overwritten.leaf > written.leaf * 2)
  assert.equal(compacted.size, overwritten.size, 'compaction does not cut the file')
  assert.ok(compacted.free > overwritten.free + 100, 'it frees pages')
  assert.equal(again.size, compacted.size, 'free pages are used first')
  assert.ok(again.free < compacted.free)
  assert.notEqual(shrunk.size, again.size, 'shrinking cuts it')
  assert.ok(shrunk.free < again.free / 4)
  assert.ok(states.every(state => state.meta === 2))
  const said = await page.locator('.step p').allInnerTexts()
  assert.match(said[2], /The file still has/)
  assert.match(said[3], /did not grow/)
  await page.getByRole('button', { name: 'Begin anew' }).click()
  await page.getByRole('button', { name: '1 Write', exact: true }).click()
  await untilKeys(page, 2523)
})

test('pages are read about by pointing and by keys', async t => {
  const page = await inspector(t)
  await untilKeys(page, 2523)
  const map = page.getByRole('img', { name: /^Map of \d+ pages/ })
  await map.press('ArrowRight')
  await page.getByText(/^Page 0, meta: /).waitFor()
  await map.press('ArrowRight')
  await map.press('ArrowRight')
  await page.getByText(/^Page 2, \w+:/).waitFor()
  await map.hover({ position: { x: 30, y: 5 } })
  await page.getByText(/^Page 1, meta: /).waitFor()
})
