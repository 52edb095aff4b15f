/** The inspector is for everyone: axe finds nothing in light, dark and on a phone, and nothing is cut off there. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import { inspector, showRevision, untilKeys, untilSaid } from './browser.mjs'

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

async function violations(page) {
  await page.evaluate(AXE)
  const found = await page.evaluate(async () => (await globalThis.axe.run()).violations)
  return found.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join('; ')}`)
}

const LOOKS = [
  { name: 'in light', colorScheme: 'light' },
  { name: 'in dark', colorScheme: 'dark' },
  { name: 'on a phone', viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true },
]

for (const { name, ...options } of LOOKS) {
  test(`axe finds nothing ${name}`, async t => {
    const page = await inspector(t, options)
    await untilKeys(page, 2523)
    await page.getByRole('searchbox', { name: 'Search keys' }).fill('text/javascript')
    await page.getByRole('button', { name: 'text/javascript' }).first().click()
    await page.getByRole('button', { name: 'Compact', exact: true }).click()
    await untilSaid(page, 'Done.')
    await showRevision(page, 7)
    await untilSaid(page, 'That revision is forgotten.')
    await page.getByRole('form', { name: 'Put or delete' }).getByLabel('Key').fill('')
    await page.getByRole('button', { name: 'Put', exact: true }).click()
    await untilSaid(page, 'A key needs at least one character')
    assert.deepEqual(await violations(page), [])
    const { width, inner } = await page.evaluate(() => ({
      width: document.documentElement.scrollWidth,
      inner: document.documentElement.clientWidth,
    }))
    assert.ok(width <= inner, `it is ${width} wide where there are ${inner}`)
  })
}

test('all of it is reached by the Tab key, and shows where it is', async t => {
  const page = await inspector(t)
  await untilKeys(page, 2523)
  await page.getByRole('searchbox', { name: 'Search keys' }).fill('text/javascript')
  await untilKeys(page, 1)
  const wanted = await page.evaluate(
    () => document.querySelectorAll('button:enabled, input, select, textarea, canvas[tabindex]').length,
  )
  const seen = new Set()
  for (let count = 0; count < wanted * 4; count += 1) {
    await page.keyboard.press('Tab')
    const focused = await page.evaluate(() => {
      const element = document.activeElement
      if (!element.matches('button, input, select, textarea, canvas[tabindex]')) return undefined
      element.dataset.number ??= String(document.querySelectorAll('[data-number]').length)
      const { outlineStyle } = getComputedStyle(element.closest('.button') ?? element)
      return { number: element.dataset.number, outlineStyle }
    })
    if (focused === undefined) continue
    assert.notEqual(focused.outlineStyle, 'none')
    if (seen.has(focused.number)) break
    seen.add(focused.number)
  }
  assert.equal(seen.size, wanted)
})
