// Builds the npm package: node pkg/scripts/build.mjs
//
// cargo -> wasm-bindgen -> wasm-opt -> tsc, into pkg/dist. A step whose inputs have not changed is left out, so that a second
// build takes a second. `npm pack` in pkg makes the tarball of it.
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { gzipSync } from 'node:zlib'
import { bundleBrowser } from './browser.mjs'
import { hashOf, onChange } from './stamp.mjs'
import { npmScript, pkg, root, run, say, step } from './tools.mjs'
import { buildWasm } from './wasm.mjs'

/** What a page that opens a store should load at most, in bytes after gzip. */
const AIM = 100 * 1024
const ENGINE = 'engine'
const BROWSER = 'browser'
const dist = join(pkg, 'dist')
const stamps = join(root, 'target', 'pkg-stamps')

/** Removes what an earlier build has left, all but the engine, which has a stamp of its own. */
function clean() {
  if (!existsSync(dist)) return
  for (const name of readdirSync(dist)) {
    if (name !== ENGINE) rmSync(join(dist, name), { recursive: true })
  }
}

async function compileTypes() {
  const configs = ['tsconfig.json', 'tsconfig.browser.json', join('scripts', 'build.mjs')]
  const inputs = ['src', ...configs].map(path => join(pkg, path))
  const compiler = npmScript('typescript', 'package.json')
  const hash = hashOf([...inputs, compiler], [])
  const outputs = [join(dist, 'index.js'), join(dist, 'index.mjs'), join(dist, 'index.d.ts')]
  const isDone = await onChange({ stamp: join(stamps, 'types'), hash, outputs }, async () => {
    clean()
    const args = [join(dirname(compiler), 'bin', 'tsc'), '--project', join(pkg, 'tsconfig.json')]
    await step('tsc', () => run(process.execPath, args))
    const browser = [...args.slice(0, -1), join(pkg, 'tsconfig.browser.json')]
    await step('tsc, for browsers', () => run(process.execPath, browser))
  })
  if (!isDone) say('= the JavaScript is up to date')
}

/** The licences stand at the repository's root; a package has its own copy. */
function copyLicences() {
  for (const name of readdirSync(root).filter(name => name.startsWith('LICENSE'))) {
    copyFileSync(join(root, name), join(dist, name))
  }
}

function kib(bytes) {
  return `${(bytes / 1024).toFixed(1)} KiB`
}

/** The modules for browsers. The engine for them goes through a folder of its own, since the package has it as a part of a module. */
async function buildBrowser() {
  const folder = join(root, 'target', 'pkg-browser')
  const stamp = join(stamps, 'browser')
  const wasm = await buildWasm(folder, { profile: 'browser', host: 'browser', stamp })
  const parts = { dist: join(dist, BROWSER), glue: join(folder, 'palimpsest.js'), wasm }
  const sizes = await step('esbuild', () => bundleBrowser(parts))
  copyFileSync(wasm, join(dist, BROWSER, 'palimpsest.wasm'))
  const bytes = readFileSync(wasm)
  say(`for browsers: ${kib(sizes.all)} gzip (aimed at: ${kib(AIM)}), of which ${kib(sizes.page)} JavaScript`)
  return bytes.length
}

/** Builds the package into pkg/dist. Answers the sizes of the wasm in bytes. */
export async function build() {
  const began = performance.now()
  mkdirSync(dist, { recursive: true })
  const wasm = await buildWasm(join(dist, ENGINE), { stamp: join(stamps, 'wasm') })
  await compileTypes()
  await buildBrowser()
  copyLicences()
  const bytes = readFileSync(wasm)
  const sizes = { raw: bytes.length, gzip: gzipSync(bytes, { level: 9 }).length }
  say(`palimpsest.wasm: ${kib(sizes.raw)}, ${kib(sizes.gzip)} gzip`)
  say(`pkg/dist is built (${((performance.now() - began) / 1000).toFixed(1)} s)`)
  return sizes
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  try {
    await build()
  } catch (error) {
    process.stderr.write(`the build failed: ${error.message}\n`)
    process.exitCode = 1
  }
}
