// The tarball itself, and how it is loaded.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { compare, del, get, importEtcdSnapshot, importStore, open, PalimpsestError, put } from 'palimpsest-kv'
import { freshFolder, here, inProcess } from './support/help.mjs'

const require = createRequire(import.meta.url)
const root = join(here, '..', 'node_modules', 'palimpsest-kv')

function* files(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) yield* files(path)
    else yield path
  }
}

test('import and require give the same package', async () => {
  const cjs = require('palimpsest-kv')
  const all = { compare, del, get, importEtcdSnapshot, importStore, open, PalimpsestError, put }
  assert.deepEqual({ ...cjs }, all)
  assert.deepEqual(Object.keys(await import('palimpsest-kv')).sort(), Object.keys(cjs).sort())
  const db = await cjs.open({ storage: 'memory' })
  await db.put('a', '1')
  assert.equal(db.getSync('a'), '1')
  await db.close()
})

test('a program in CommonJS', async t => {
  const folder = freshFolder(t)
  const program = join(folder, 'program.cjs')
  writeFileSync(
    program,
    `const { open } = require(${JSON.stringify(root)})
     open({ storage: { file: ${JSON.stringify(join(folder, 'a.plm'))} } }).then(async db => {
       await db.put('a', '1')
       console.log(await db.get('a'))
       await db.close()
     })`,
  )
  assert.equal(execFileSync(process.execPath, [program], { encoding: 'utf8' }), '1\n')
})

test('importing the package does nothing that takes time', async () => {
  const end = await inProcess(`
    await import('palimpsest-kv')
    console.log(Object.keys((await import('node:module')).default._cache).some(name => name.includes('engine/palimpsest')))`)
  assert.equal(end.stdout, 'false\n', end.stderr)
})

test('the tarball holds what it needs and nothing else', () => {
  const names = [...files(root)].map(path => path.slice(root.length + 1).replaceAll('\\', '/'))
  assert.deepEqual(names.filter(name => name.endsWith('.wasm')).sort(), [
    'dist/browser/palimpsest.wasm',
    'dist/engine/palimpsest_bg.wasm',
  ])
  assert.equal(
    require.resolve('palimpsest-kv/palimpsest.wasm'),
    join(root, 'dist', 'engine', 'palimpsest_bg.wasm'),
  )
  assert.deepEqual(names.filter(name => !name.startsWith('dist/')).sort(), ['README.md', 'package.json'])
  assert.ok(names.some(name => name.startsWith('dist/LICENSE')))
  const manifest = require('palimpsest-kv/package.json')
  assert.deepEqual([manifest.dependencies, manifest.license], [undefined, 'MIT OR Apache-2.0'])
  assert.ok(WebAssembly.validate(readFileSync(join(root, 'dist', 'engine', 'palimpsest_bg.wasm'))))
})

test('no file names a folder of the machine that built it', () => {
  const folders = [homedir(), process.env.CARGO_HOME, process.env.INIT_CWD].filter(
    name => name && name.length > 2,
  )
  for (const path of files(join(root, 'dist'))) {
    const text = readFileSync(path, 'latin1')
    for (const folder of folders) assert.ok(!text.includes(folder), `${path} names ${folder}`)
    assert.ok(!text.includes('.cargo/registry'), `${path} names the registry's folder`)
  }
})

test('no name of the debugging build is left in the wasm', () => {
  const wasm = readFileSync(join(root, 'dist', 'engine', 'palimpsest_bg.wasm'))
  const sections = WebAssembly.Module.customSections(new WebAssembly.Module(wasm), 'name')
  assert.equal(sections.length, 0)
  assert.ok(!wasm.includes('panic-test'))
})
