// Builds the npm package: node pkg/scripts/build.mjs
//
// cargo -> wasm-bindgen -> wasm-opt -> tsc, into pkg/dist. A step whose inputs have not changed is left out, so that a second
// build takes a second. `npm pack` in pkg makes the tarball of it.
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { gzipSync } from 'node:zlib'
import { hashOf, onChange } from './stamp.mjs'
import { npmScript, pkg, root, run, say, step } from './tools.mjs'
import { buildWasm } from './wasm.mjs'

const ENGINE = 'engine'
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
  const inputs = [join(pkg, 'src'), join(pkg, 'tsconfig.json'), join(pkg, 'scripts', 'build.mjs')]
  const compiler = npmScript('typescript', 'package.json')
  const hash = hashOf([...inputs, compiler], [])
  const outputs = [join(dist, 'index.js'), join(dist, 'index.mjs'), join(dist, 'index.d.ts')]
  const isDone = await onChange({ stamp: join(stamps, 'types'), hash, outputs }, async () => {
    clean()
    const args = [join(dirname(compiler), 'bin', 'tsc'), '--project', join(pkg, 'tsconfig.json')]
    await step('tsc', () => run(process.execPath, args))
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

/** Builds the package into pkg/dist. Answers the sizes of the wasm in bytes. */
export async function build() {
  const began = performance.now()
  mkdirSync(dist, { recursive: true })
  const wasm = await buildWasm(join(dist, ENGINE), { stamp: join(stamps, 'wasm') })
  await compileTypes()
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
