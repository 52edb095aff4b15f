/** Writing, watching, keeping and forgetting in the inspector. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readReleases } from '../tour/truth.mjs'
import { inspector, pagesOf, showRevision, until, untilKeys, untilSaid } from './browser.mjs'

/** What revision 5 has: the fourth release, and the key of its number. */
const PINNED_KEYS =
  readReleases(new URL('../tour/data/mime-db-history.ndjson', import.meta.url))[3].contents.size + 1

const form = (page, name) => page.getByRole('form', { name })
const part = (page, name) => page.getByRole('region', { name, exact: true })

test('puts, deletes and transactions are watched as they happen', async t => {
  const page = await inspector(t)
  await untilKeys(page, 2523)
  await part(page, 'Watch').getByRole('button', { name: 'Watch' }).click()
  await untilSaid(page, 'Told of every change')
  await form(page, 'Put or delete').getByRole('button', { name: 'Put' }).click()
  await untilKeys(page, 2524)
  await form(page, 'Transaction').getByRole('button', { name: 'Commit' }).click()
  await untilSaid(page, 'Done, all in revision 22.')
  await untilKeys(page, 2525)
  await form(page, 'Transaction').getByRole('button', { name: 'Commit' }).click()
  await untilSaid(page, 'Not done: the key “greeting” does not exist')
  await form(page, 'Put or delete').getByLabel('Key').fill('release')
  await form(page, 'Put or delete').getByRole('button', { name: 'Delete' }).click()
  await untilKeys(page, 2524)
  const told = await page.getByTestId('feed').locator('li').allInnerTexts()
  assert.deepEqual(
    told.map(line => line.replace(/\s+/g, ' ')),
    [
      '23 delete release',
      '22 delete greeting',
      '22 put cart/pears = 1',
      '22 put cart/apples = 3',
      '21 put greeting = hello',
    ],
  )
  await form(page, 'Put or delete').getByLabel('Key').fill('')
  await form(page, 'Put or delete').getByRole('button', { name: 'Put' }).click()
  await untilSaid(page, 'A key needs at least one character')
  await page.getByRole('button', { name: 'Dismiss' }).click()
  await form(page, 'Transaction').getByLabel('then, all in one revision').fill('nonsense')
  await form(page, 'Transaction').getByRole('button', { name: 'Commit' }).click()
  await untilSaid(page, 'is neither “key = value” nor “- key”')
})

test('compaction forgets all but what is pinned, and says beforehand what it would free', async t => {
  const page = await inspector(t)
  await untilKeys(page, 2523)
  await showRevision(page, 5)
  await part(page, 'Pins and snapshots').getByRole('button', { name: 'Pin revision 5' }).click()
  await page.getByRole('button', { name: 'Remove the pin keep' }).waitFor()
  await page.getByRole('button', { name: 'Newest' }).click()
  await page.getByRole('button', { name: 'What would it free?' }).click()
  await untilSaid(page, 'Compacting to revision 20 would free')
  await form(page, 'Compact').getByRole('button', { name: 'Compact' }).click()
  await until(page, 'it is done', () =>
    document.querySelector('[data-testid=compaction]')?.textContent.includes('Done.'),
  )
  await untilSaid(page, 'History before revision 20 is forgotten.')
  await untilSaid(page, 'The pin “keep” keeps revision 5 readable')
  await showRevision(page, 6)
  await untilSaid(page, 'That revision is forgotten.')
  await page.getByRole('button', { name: 'keep, revision 5' }).click()
  await untilKeys(page, PINNED_KEYS)
  await page.getByRole('button', { name: 'Remove the pin keep' }).click()
  await untilSaid(page, 'That revision is forgotten.')
})

test('a rule of retention keeps versions of its keys through compaction, and of no others', async t => {
  const page = await inspector(t)
  await untilKeys(page, 2523)
  const fields = form(page, 'Add a rule of retention')
  await fields.getByLabel('Prefix').fill('text/')
  await fields.getByLabel('Newest versions').fill('2')
  await fields.getByRole('button', { name: 'Keep' }).click()
  await untilSaid(page, 'Of keys that begin with text/: the newest 2 versions')
  await form(page, 'Compact').getByRole('button', { name: 'Compact' }).click()
  await until(page, 'it is done', () =>
    document.querySelector('[data-testid=compaction]')?.textContent.includes('Done.'),
  )
  const versions = async key => {
    await page.getByRole('searchbox', { name: 'Search keys' }).fill(key)
    await page.getByRole('button', { name: key }).first().click()
    await untilSaid(page, `History of ${key}`)
    await page.getByTestId('history').waitFor()
    return page.getByTestId('history').locator('li').count()
  }
  assert.equal(await versions('text/javascript'), 2)
  assert.equal(await versions('application/3gpdash-qoe-report+xml'), 1)
  await page.getByRole('button', { name: 'Remove the rule of text/' }).click()
  await untilSaid(page, 'None: only the present versions stay.')
})

test('a snapshot holds pages back until it is closed', async t => {
  const page = await inspector(t)
  await untilKeys(page, 2523)
  await page.getByRole('button', { name: 'Open a snapshot of revision 20' }).click()
  await page.getByRole('button', { name: 'Open a snapshot of revision 20' }).click()
  await page.getByRole('button', { name: 'Close the snapshot of 20' }).nth(1).waitFor()
  await form(page, 'Compact').getByRole('button', { name: 'Compact' }).click()
  await until(page, 'they hold pages', () =>
    /2 snapshots hold back [1-9]\d* pages\./.test(document.querySelector('[data-testid=status]').innerText),
  )
  const held = await pagesOf(page, 'pending')
  assert.ok(held > 0)
  await page.getByRole('button', { name: 'Close the snapshot of 20' }).first().click()
  await page.getByRole('button', { name: 'Close the snapshot of 20' }).first().click()
  await form(page, 'Compact').getByRole('button', { name: 'Checkpoint' }).click()
  await until(
    page,
    'they are free',
    held => Number(document.querySelector('[data-testid=pages-pending]').textContent) < held,
    held,
  )
})

test('a quota refuses writes in words, and rules are kept', async t => {
  const page = await inspector(t)
  await untilKeys(page, 2523)
  const rules = part(page, 'Rules')
  await rules.getByLabel('Quota in MiB').fill('0.25')
  await rules.getByLabel('Quota in MiB').press('Enter')
  await untilSaid(page, 'of pages may be in use')
  await form(page, 'Put or delete').getByRole('button', { name: 'Put' }).click()
  await untilSaid(page, 'The quota that was set for this store is used up')
  await rules.getByLabel('Quota in MiB').fill('')
  await rules.getByLabel('Quota in MiB').press('Enter')
  await untilSaid(page, 'Not bounded.')
  await form(page, 'Put or delete').getByRole('button', { name: 'Put' }).click()
  await untilKeys(page, 2524)
  await rules.getByLabel('Forget by itself').selectOption('revisions-1000')
  await rules.getByLabel('Thin out with age').selectOption('default')
  await page.getByRole('button', { name: 'Check everything' }).click()
  await untilSaid(page, 'Sound: ')
  assert.equal(await page.getByRole('alert').count(), 0)
})

test('the load generator writes what it says, at a rate and until it is stopped', async t => {
  const page = await inspector(t)
  await untilKeys(page, 2523)
  const load = form(page, 'Load')
  await load.getByLabel('Puts a second').selectOption('Infinity')
  await load.getByLabel('Stop after').selectOption('10000')
  await load.getByLabel('Over keys').selectOption('10')
  await load.getByRole('button', { name: 'Write' }).click()
  await untilSaid(page, '10,000 puts.')
  await untilKeys(page, 2533)
  await until(
    page,
    'each put is a revision',
    () => document.querySelector('[data-testid=shown]')?.textContent === '10,020',
  )
  await load.getByLabel('Puts a second').selectOption('100')
  await load.getByLabel('Stop after').selectOption('undefined')
  await load.getByRole('button', { name: 'Write' }).click()
  await untilSaid(page, ' a second.')
  await load.getByRole('button', { name: 'Stop' }).click()
  await page.getByRole('img', { name: /^File: size [\d.]+ MiB, in use [\d.]+ MiB/ }).waitFor()
  await page.getByRole('img', { name: /^Time: longest step so far [\d.]+ ms/ }).waitFor()
})
