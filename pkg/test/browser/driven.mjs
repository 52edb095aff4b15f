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

/**
 * Opens a store in a page, as `globalThis.db`. Answers what it says of its storage, or its error. With a `patch`, the source of a module,
 * the worker runs that first.
 */
export function opened(page, options) {
  return page.evaluate(async ({ makesWorker, patch, ...options }) => {
    const { open } = await import('/package.js')
    const patched = () => {
      const modules = [`data:text/javascript,${encodeURIComponent(patch)}`, `${location.origin}/worker.js`]
      const source = modules.map(module => `import ${JSON.stringify(module)}`).join('\n')
      return URL.createObjectURL(new Blob([source], { type: 'text/javascript' }))
    }
    const isOwn = makesWorker || patch !== undefined
    const start = () => new Worker(patch === undefined ? '/worker.js' : patched(), { type: 'module' })
    const worker = isOwn ? start : undefined
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

export const pause = millis => new Promise(resolve => setTimeout(resolve, millis))

/** Ends the process of a page. */
export async function crash(page) {
  const session = await page.context().newCDPSession(page)
  await Promise.race([session.send('Page.crash').catch(() => {}), page.waitForEvent('crash')])
  await page.close().catch(() => {})
}

/** Lets the worker of a page run for so long, or for ever, without hearing anything. */
export function hang(page, millis = Number.MAX_SAFE_INTEGER) {
  // Not within what the browser is asked to do here, which even `terminate` would wait for.
  return page.workers()[0].evaluate(millis => {
    setTimeout(() => {
      const end = performance.now() + millis
      while (performance.now() < end);
    }, 10)
  }, millis)
}

/** Lets a page stand still for so long. */
export function standStill(page, millis) {
  return page.evaluate(millis => {
    setTimeout(() => {
      const end = performance.now() + millis
      while (performance.now() < end);
    }, 10)
  }, millis)
}

/** The names of the locks that pages and workers of the site have. */
export async function locks(page) {
  const names = await page.evaluate(async () => (await navigator.locks.query()).held.map(({ name }) => name))
  return names.map(name => name.replace('palimpsest-kv/', ''))
}
