// Pages that a test drives from outside.
import { after, before } from 'node:test'
import { launch } from './chromium.mjs'

export const ORIGIN = process.env.PALIMPSEST_ORIGIN

let browser
before(async () => {
  browser = await launch(['--host-resolver-rules=MAP insecure.test 127.0.0.1'])
})
after(() => browser.close())

/** Pages of a site that has nothing yet. */
export async function site(t, { pages = 1, path = '/', origin = ORIGIN } = {}) {
  const context = await browser.newContext()
  t.after(() => context.close())
  const opened = []
  for (let count = 0; count < pages; count += 1) {
    const page = await context.newPage()
    await page.goto(`${origin}${path}`)
    opened.push(page)
  }
  return { context, opened, page: opened[0] }
}

/** Opens a store in a page, as `globalThis.db`. Answers what it says of its storage, or its error. */
export function opened(page, options) {
  return page.evaluate(async ({ makesWorker, ...options }) => {
    const { open } = await import('/package.js')
    const worker = makesWorker ? () => new Worker('/worker.js', { type: 'module' }) : undefined
    const began = performance.now()
    try {
      globalThis.db = await open({ name: 'app', storage: 'opfs', worker, ...options })
      return globalThis.db.storage
    } catch ({ code, message, holder }) {
      return { code, message, holder, ms: performance.now() - began }
    }
  }, options)
}

/** Does something in a page with its store. Answers its answer, or its error. */
export function having(page, work, argument) {
  const source = `export default ${work}`
  return page.evaluate(
    async ({ source, argument }) => {
      const url = URL.createObjectURL(new Blob([source], { type: 'text/javascript' }))
      const { default: work } = await import(url)
      try {
        return await work(globalThis.db, argument)
      } catch ({ code, message, reason }) {
        return { code, message, reason }
      }
    },
    { source, argument },
  )
}
