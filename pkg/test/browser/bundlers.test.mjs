// The packed tarball in programs as people build them: each opens a store in a page, by nothing but what its tool does by itself.
import assert from 'node:assert/strict'
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { root } from '../../scripts/tools.mjs'
import { launch, serve } from './chromium.mjs'

const require = createRequire(join(root, 'package.json'))
const installed = process.env.PALIMPSEST_INSTALLED
const served = join(installed, 'bundled')
const sources = join(installed, 'programs')

/** What a program does, in a page or in a worker. Its answer is told by `tell`. */
const USE = `
async function use(options) {
  const db = await open({ name: 'app', storage: 'auto', ...options })
  await db.txn().then(put('a', '1')).commit()
  const answer = [db.storage.kind, await db.get('a'), db.getSync !== undefined]
  await db.close()
  return answer
}
const tell = answer => globalThis.document === undefined ? postMessage(answer) : (globalThis.answer = answer)
const run = options => use(options).then(tell, error => tell(String(error.stack)))
`

const PROGRAMS = {
  plain: `import { open, put } from 'palimpsest-kv'\n${USE}\nrun({})`,
  slim: `import { init, open, put } from 'palimpsest-kv/slim'\n${USE}\ninit(fetch('/palimpsest.wasm'))\nrun({})`,
  ownWorker: `import { open, put } from 'palimpsest-kv'\n${USE}
run({ worker: () => new Worker(new URL('./engine.js', import.meta.url), { type: 'module' }) })`,
  engine: `import 'palimpsest-kv/worker'`,
}

function page(name, script) {
  const html = `<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><body>${script}`
  writeFileSync(join(served, `${name}.html`), html)
}

async function esbuild(program, options = {}) {
  const outfile = join(served, `esbuild-${program}.js`)
  const entryPoints = [join(sources, `${program}.js`)]
  await require('esbuild').build({
    entryPoints,
    outfile,
    bundle: true,
    minify: true,
    logLevel: 'error',
    ...options,
  })
  return outfile
}

async function vite(program) {
  const { build } = await import(pathToFileURL(require.resolve('vite')).href)
  const html = join(sources, `vite-${program}.html`)
  writeFileSync(
    html,
    `<!doctype html><meta charset="utf-8"><script type="module" src="./${program}.js"></script>`,
  )
  const outDir = join(served, 'vite')
  await build({
    root: sources,
    base: '/vite/',
    configFile: false,
    logLevel: 'error',
    build: { outDir, emptyOutDir: false, rolldownOptions: { input: html } },
    worker: { format: 'es' },
  })
}

function webpack(program) {
  const compiler = require('webpack')({
    mode: 'production',
    context: sources,
    entry: `./${program}.js`,
    output: { path: join(served, 'webpack'), filename: `${program}.js`, publicPath: '/webpack/' },
    performance: false,
  })
  return new Promise((resolve, reject) => {
    compiler.run((error, stats) => {
      if (error ?? stats.hasErrors()) reject(error ?? new Error(stats.toString('errors-only')))
      else compiler.close(resolve)
    })
  })
}

const script = src => `<script type="module" src="${src}"></script>`

/** By name: what makes the program, and the page that it is in. */
const WAYS = {
  esbuild: async () => {
    await esbuild('plain')
    page('esbuild', '<script src="/esbuild-plain.js"></script>')
  },
  'esbuild, slim': async () => {
    await esbuild('slim', { format: 'esm' })
    page('esbuild, slim', script('/esbuild-slim.js'))
  },
  vite: async () => {
    await vite('plain')
    return '/vite/vite-plain.html'
  },
  'vite, with a worker of its own': async () => {
    await vite('ownWorker')
    return '/vite/vite-ownWorker.html'
  },
  webpack: async () => {
    await webpack('plain')
    page('webpack', '<script src="/webpack/plain.js"></script>')
  },
  'webpack, with a worker of its own': async () => {
    await webpack('ownWorker')
    page('webpack, with a worker of its own', '<script src="/webpack/ownWorker.js"></script>')
  },
  'a module script, not bundled': async () => {
    const imports = JSON.stringify({ imports: { 'palimpsest-kv': '/package/browser/index.mjs' } })
    page('a module script, not bundled', `<script type="importmap">${imports}</script>${script('/plain.js')}`)
  },
}

let browser
let server
before(async () => {
  for (const folder of [served, sources]) mkdirSync(folder)
  const dist = join(installed, 'node_modules', 'palimpsest-kv', 'dist')
  cpSync(dist, join(served, 'package'), { recursive: true })
  cpSync(join(dist, 'browser', 'palimpsest.wasm'), join(served, 'palimpsest.wasm'))
  for (const [name, source] of Object.entries(PROGRAMS)) writeFileSync(join(sources, `${name}.js`), source)
  cpSync(join(sources, 'plain.js'), join(served, 'plain.js'))
  browser = await launch()
  server = await serve(served)
})
after(async () => {
  await browser?.close()
  await server?.close()
})

/** What a program answers in a page of a site of its own. */
async function answered(t, path, work) {
  const context = await browser.newContext()
  t.after(() => context.close())
  const page = await context.newPage()
  page.on('pageerror', error => t.diagnostic(String(error.stack)))
  await page.goto(`${server.origin}${path}`)
  if (work !== undefined) await page.evaluate(work)
  await page.waitForFunction(() => globalThis.answer !== undefined, undefined, { timeout: 20_000 })
  return page.evaluate(() => globalThis.answer)
}

for (const [name, make] of Object.entries(WAYS)) {
  test(name, async t => {
    const path = (await make()) ?? `/${encodeURIComponent(name)}.html`
    assert.deepEqual(await answered(t, path), ['opfs', '1', true])
  })
}

test('in a worker', async t => {
  await esbuild('plain')
  const work = () => {
    const worker = new Worker('/esbuild-plain.js')
    worker.onmessage = ({ data }) => (globalThis.answer = data)
  }
  assert.deepEqual(await answered(t, '/none', work), ['opfs', '1', true])
})

test('where the engine must be a module of its own', async () => {
  writeFileSync(
    join(sources, 'edge.js'),
    `import { open } from 'palimpsest-kv'
    export const run = async () => {
      const db = await open({ storage: 'memory' })
      await db.put('a', '1')
      return [db.getSync('a'), db.storage.kind]
    }`,
  )
  const compiled = {
    name: 'compiled',
    setup: ({ onLoad }) =>
      onLoad({ filter: /\.wasm$/ }, ({ path }) => ({
        contents: `export default new WebAssembly.Module(Uint8Array.from(atob(${JSON.stringify(readFileSync(path, 'base64'))}), c => c.charCodeAt(0)))`,
      })),
  }
  const conditions = ['workerd']
  const outfile = await esbuild('edge', {
    format: 'esm',
    platform: 'neutral',
    conditions,
    plugins: [compiled],
  })
  cpSync(outfile, `${outfile}.mjs`)
  const { run } = await import(pathToFileURL(`${outfile}.mjs`).href)
  assert.deepEqual(await run(), ['1', 'memory'])
})
