/** The inspector, as `run.mjs` has built it, in Debian's Chromium: one browser, and a site that has nothing yet for each test. */
import { after, before } from 'node:test'
import { launch } from '../../pkg/test/browser/chromium.mjs'
import { serveInspector } from '../inspector/serve.mjs'

/** How long a part of the page may take to be as it should, in milliseconds: a machine may be busy. */
const PATIENCE = 20_000

/** A name of this machine by which browsers don't take a page for one that is served securely. */
export const INSECURE = 'insecure.test'

let browser
let server

before(async () => {
  server = await serveInspector({ port: 0, hosts: [INSECURE] })
  browser = await launch([`--host-resolver-rules=MAP ${INSECURE} 127.0.0.1`])
})
after(async () => {
  await browser?.close()
  await server?.close()
})

/** A page of the inspector that has begun, in a browser that remembers nothing. What it throws fails the test. */
export async function inspector(t, { query, host, ...options } = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 860 }, ...options })
  context.setDefaultTimeout(PATIENCE)
  const page = await another(t, context, { query, host })
  t.after(() => context.close())
  return page
}

/** One more tab of the same site. */
export async function another(t, context, { query = '', host = 'localhost' } = {}) {
  const page = await context.newPage()
  const thrown = []
  page.on('pageerror', error => thrown.push(error.stack))
  page.on('console', message => message.type() === 'error' && thrown.push(message.text()))
  t.after(() => {
    if (thrown.length > 0) throw new Error(`the page failed:\n${thrown.join('\n')}`)
  })
  await page.goto(`${server.address.replace('localhost', host)}${query}`)
  return page
}

/** Waits until a function of the page's elements is true; tells what the page showed if it does not become so. */
export async function until(page, what, test, argument) {
  try {
    await page.waitForFunction(test, argument, { timeout: PATIENCE })
  } catch (error) {
    const shown = await page.evaluate(() => document.body.innerText)
    throw new Error(`it does not come to this: ${what}\n${error.message}\n${shown}`)
  }
}

/** Waits until the table is about so many keys. */
export function untilKeys(page, number) {
  const words = `${number.toLocaleString('en')} key${number === 1 ? '' : 's'}`
  return until(
    page,
    `there are ${words}`,
    words => document.querySelector('[data-testid=total]')?.textContent === words,
    words,
  )
}

/** Waits until a text is somewhere on the page. */
export function untilSaid(page, words) {
  return until(page, `it says “${words}”`, words => document.body.innerText.includes(words), words)
}

/** How many pages of a use the legend counts. */
export async function pagesOf(page, use) {
  return Number((await page.getByTestId(`pages-${use}`).textContent()).replaceAll(',', ''))
}

/** Shows a revision. */
export async function showRevision(page, revision) {
  await page.getByRole('slider').fill(String(revision))
  await until(
    page,
    `revision ${revision} is shown`,
    revision => document.querySelector('[data-testid=shown]')?.textContent === String(revision),
    revision,
  )
}
