/** Time in the inspector, against the data itself: the slider, the table, what a revision changed, the history of a key. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readReleases } from '../tour/truth.mjs'
import { inspector, showRevision, until, untilKeys, untilSaid } from './browser.mjs'

const releases = readReleases(new URL('../tour/data/mime-db-history.ndjson', import.meta.url))
/** The number of the release is a key, too. */
const RELEASE_KEYS = 1
const first = releases[0]
const last = releases.at(-1)

/** The revision that a release was written by: the empty store is revision 1. */
const revisionOf = at => at + 2

test('a first visit shows the newest of 19 releases, kept in the private file system', async t => {
  const page = await inspector(t)
  await untilKeys(page, last.contents.size + RELEASE_KEYS)
  assert.match(await page.getByTestId('place').textContent(), /private file system/)
  assert.equal(await page.getByTestId('shown').textContent(), String(revisionOf(releases.length - 1)))
  await untilSaid(page, `mime-db ${last.name}`)
  await page.reload()
  await untilKeys(page, last.contents.size + RELEASE_KEYS)
})

test('the slider shows the store as each release was, by keys of the keyboard too', async t => {
  const page = await inspector(t)
  await untilKeys(page, last.contents.size + RELEASE_KEYS)
  for (const at of [0, 7, 18]) {
    await showRevision(page, revisionOf(at))
    await untilKeys(page, releases[at].contents.size + RELEASE_KEYS)
    await untilSaid(page, `mime-db ${releases[at].name}`)
  }
  await page.getByRole('slider').press('Home')
  await untilKeys(page, 0)
  await page.getByRole('slider').press('ArrowRight')
  await untilKeys(page, first.contents.size + RELEASE_KEYS)
  await page.getByRole('button', { name: 'One revision forward' }).click()
  const { puts, deletes } = releases[1]
  const created = [...puts.keys()].filter(key => !first.contents.has(key)).length
  await untilSaid(
    page,
    `Revision 3 created ${created}, changed ${puts.size - created + RELEASE_KEYS} and deleted ${deletes.length} key`,
  )
  await page.getByRole('button', { name: 'Play' }).click()
  await until(page, 'it plays', () => Number(document.querySelector('[data-testid=shown]').textContent) > 4)
  await page.getByRole('button', { name: 'Newest' }).click()
  await untilKeys(page, last.contents.size + RELEASE_KEYS)
})

test('keys are found by their beginning and by a part, and tell every version that they had', async t => {
  const page = await inspector(t)
  await untilKeys(page, last.contents.size + RELEASE_KEYS)
  const fitting = test => [...last.contents.keys()].filter(test).length
  await page.getByRole('searchbox', { name: 'Search keys' }).fill('text/')
  await untilKeys(
    page,
    fitting(key => key.startsWith('text/')),
  )
  await page.getByRole('combobox', { name: 'How keys are searched' }).selectOption('part')
  await page.getByRole('searchbox', { name: 'Search keys' }).fill('script')
  await untilKeys(
    page,
    fitting(key => key.includes('script')),
  )
  await page.getByRole('searchbox', { name: 'Search keys' }).fill('nothing like it')
  await untilKeys(page, 0)
  await untilSaid(page, 'No key fits')
  await page.getByRole('searchbox', { name: 'Search keys' }).fill('text/javascript')
  await page.getByRole('button', { name: 'text/javascript' }).first().click()
  await untilSaid(page, 'History of text/javascript')
  const versions = releases.filter(release => release.puts.has('text/javascript')).length
  await until(
    page,
    `there are ${versions} versions`,
    number => document.querySelectorAll('[data-testid=history] > li').length === number,
    versions,
  )
  const inserted = await page.getByTestId('history').locator('li').first().locator('ins').allTextContents()
  assert.ok(inserted.join('').length > 0, 'what a version added is marked')
  await page.getByTestId('history').getByRole('button').last().click()
  assert.equal(await page.getByTestId('shown').textContent(), '2')
})
