// The types, as strict programs see them: without Node's types, without newer libraries, by every way of resolving.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { freshFolder, here } from './support/help.mjs'

const compiler = process.env.PALIMPSEST_TSC
const strict = {
  strict: true,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  skipLibCheck: false,
  noEmit: true,
  types: [],
}

/** Compiles one program of `types` as a user would. Answers what the compiler says. */
function compile(t, { program, name = program, type = 'module', options }) {
  const folder = freshFolder(t)
  mkdirSync(join(folder, 'node_modules'))
  symlinkSync(
    join(here, '..', 'node_modules', 'palimpsest-kv'),
    join(folder, 'node_modules', 'palimpsest-kv'),
    'junction',
  )
  cpSync(join(here, 'types', program), join(folder, name))
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ type }))
  writeFileSync(
    join(folder, 'tsconfig.json'),
    JSON.stringify({ compilerOptions: { ...strict, ...options }, files: [name] }),
  )
  try {
    execFileSync(process.execPath, [compiler, '--project', folder, '--pretty', 'false'], { encoding: 'utf8' })
    return ''
  } catch (error) {
    return error.stdout
  }
}

const plain = { target: 'ES2022', lib: ['ES2022'] }
const resolutions = [
  ['Node, import', { module: 'Node16' }, 'module'],
  ['Node, require', { module: 'Node16' }, 'commonjs'],
  ['Node, newest', { module: 'NodeNext' }, 'module'],
  ['a bundler', { module: 'ESNext', moduleResolution: 'bundler' }, 'module'],
]

for (const [what, options, type] of resolutions) {
  test(`a strict program against a plain ES2022 library: ${what}`, t => {
    assert.equal(compile(t, { program: 'usage.ts', type, options: { ...plain, ...options } }), '')
  })
}

test('a browser’s types have what a browser has', t => {
  const options = { module: 'ESNext', moduleResolution: 'bundler', customConditions: ['browser'] }
  assert.equal(compile(t, { program: 'browser.ts', options: { ...plain, ...options } }), '')
})

test('`using` works where the libraries know it', t => {
  const options = { target: 'ES2022', lib: ['ESNext'], module: 'NodeNext' }
  assert.equal(compile(t, { program: 'dispose.ts', options }), '')
})

test('what the types refuse', t => {
  const said = compile(t, { program: 'wrong.ts', options: { ...plain, module: 'NodeNext' } })
  assert.equal(said, '', 'every line that is marked is refused, and no other')
})
