// The package's files for browsers: TypeScript and the engine's glue to few modules, the wasm to a text within one of them.
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { basename, join } from 'node:path'
import { deflateRawSync, gzipSync } from 'node:zlib'
import { pkg, root } from './tools.mjs'

const SOURCES = join(pkg, 'src', 'browser')
/** The oldest browsers that have all that the package needs: the private file system, and streams that decompress. */
const TARGETS = ['chrome109', 'firefox113', 'safari16.4']

const bundler = () => createRequire(join(root, 'package.json'))('esbuild')

const shared = {
  bundle: true,
  write: true,
  minify: true,
  target: TARGETS,
  legalComments: 'none',
  external: ['./palimpsest.wasm'],
  logLevel: 'warning',
}

/** Modules that are made while they are bundled, by name. */
function made(modules) {
  return {
    name: 'made',
    setup({ onResolve, onLoad }) {
      onResolve({ filter: /^palimpsest-/ }, ({ path }) => {
        const glue = path === 'palimpsest-glue' ? modules.glue : undefined
        return glue === undefined ? { path, namespace: 'made' } : { path: glue }
      })
      onLoad({ filter: /.*/, namespace: 'made' }, async ({ path }) => ({
        contents: await modules[path](),
        loader: 'js',
      }))
    },
  }
}

/** A module whose default export is a text. */
function textModule(text) {
  return `export default ${JSON.stringify(text)}`
}

/** The worker's code as one script without imports, so that it can be started from a text. */
async function workerCode(glue) {
  const { outputFiles } = await bundler().build({
    ...shared,
    write: false,
    entryPoints: [join(SOURCES, 'worker.mts')],
    format: 'iife',
    plugins: [made({ glue })],
  })
  return outputFiles[0].text
}

/**
 * Bundles the entries for browsers into `dist`.
 * @param {{ dist: string, glue: string, wasm: string }} files the folder, the glue, and the wasm
 * @returns {Promise<{ entry: number, page: number, all: number }>} bytes after gzip: of what is imported, of that with the code of the
 * worker, and of all that a page loads whose store is in a worker
 */
export async function bundleBrowser({ dist, glue, wasm }) {
  const compressed = deflateRawSync(readFileSync(wasm), { level: 9 }).toString('base64')
  const code = await workerCode(glue)
  const modules = {
    glue,
    'palimpsest-wasm': () => textModule(compressed),
    'palimpsest-worker-code': () => textModule(code),
  }
  clean(dist)
  const { metafile } = await bundler().build({
    ...shared,
    metafile: true,
    entryPoints: ['index', 'slim', 'worker', 'workerd'].map(name => join(SOURCES, `${name}.mts`)),
    format: 'esm',
    splitting: true,
    outdir: dist,
    outExtension: { '.js': '.mjs' },
    chunkNames: '[name]-[hash]',
    plugins: [made(modules)],
    absWorkingDir: root,
  })
  return sizesOf(metafile)
}

/** Modules of an earlier build, whose names have other hashes. */
function clean(dist) {
  if (!existsSync(dist)) return
  for (const name of readdirSync(dist)) if (name.endsWith('.mjs')) rmSync(join(dist, name))
}

/** What a page loads, by what it opens: all that the entry imports, and what is then imported of its parts. */
function sizesOf({ outputs }) {
  const named = name => Object.keys(outputs).find(file => basename(file).startsWith(name))
  const files = new Set()
  const add = file => {
    if (files.has(file)) return
    files.add(file)
    for (const { path, kind } of outputs[file].imports) if (kind === 'import-statement') add(path)
  }
  const sum = () => [...files].reduce((sum, file) => sum + gzipped(readFileSync(join(root, file))), 0)
  add(named('index'))
  const entry = sum()
  add(named('palimpsest-worker-code'))
  const page = sum()
  add(named('palimpsest-wasm'))
  return { entry, page, all: sum() }
}

function gzipped(bytes) {
  return gzipSync(bytes, { level: 9 }).length
}
