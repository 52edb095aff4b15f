// The package's tests: packs it, installs the tarball into a fresh folder, and runs the test files there, so that what is tested is
// what users get. `node pkg/test/run.mjs` runs all, with names of test files only those.
import { cpSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { build } from '../scripts/build.mjs'
import { cargoTarget, npmScript, pkg, root, run, say, step } from '../scripts/tools.mjs'
import { buildWasm } from '../scripts/wasm.mjs'
import { install, pack } from './install.mjs'

const tests = join(pkg, 'test')

/** Installs the tarball into a folder of its own, and puts the tests beside it. */
function installWithTests(folder, tarball) {
  install(folder, tarball)
  cpSync(tests, join(folder, 'test'), { recursive: true })
}

/** An engine that can be made to panic, in the place of the real one. */
async function breakable(folder) {
  const engine = join(root, 'target', 'panic-test', 'engine')
  const stamp = join(root, 'target', 'pkg-stamps', 'panic-test')
  await step('an engine that can panic', () =>
    buildWasm(engine, { features: ['panic-test'], profile: 'dev', stamp }),
  )
  cpSync(engine, join(folder, 'node_modules', 'palimpsest-kv', 'dist', 'engine'), { recursive: true })
}

/** A program of the engine's own, without Node, for the tests of what the two do to each other. Answers its path. */
async function writer() {
  // All that is built natively is chosen alike, so that cargo compiles the engine once.
  const args = ['build', '--quiet', '--workspace', '--exclude', 'palimpsest-kv-wasm', '--bin', 'writer']
  await step('a writer without Node', () => run('cargo', args))
  return join(cargoTarget(), 'debug', process.platform === 'win32' ? 'writer.exe' : 'writer')
}

async function main(names) {
  await build()
  const folder = mkdtempSync(join(tmpdir(), 'palimpsest-kv-'))
  try {
    const tarball = pack(folder)
    const [plain, panicking] = [join(folder, 'plain'), join(folder, 'panicking')]
    installWithTests(plain, tarball)
    installWithTests(panicking, tarball)
    await breakable(panicking)
    const isWanted = name => name.endsWith('.test.mjs') && (names.length === 0 || names.includes(name))
    const files = readdirSync(tests)
      .filter(isWanted)
      .map(name => join(name.startsWith('panic') ? panicking : plain, 'test', name))
    if (files.length === 0) throw new Error(`no test file is called ${names.join(' or ')}`)
    say(`> ${files.length} test files on ${tarball}`)
    const env = {
      ...process.env,
      PALIMPSEST_TARBALL: tarball,
      PALIMPSEST_VECTORS: join(root, 'tests', 'conformance', 'vectors'),
      PALIMPSEST_SNAPSHOT: join(root, 'tests', 'snapshots', 'etcd-3.4.23.db'),
      PALIMPSEST_WRITER: await writer(),
      PALIMPSEST_TSC: npmScript('typescript', 'bin/tsc'),
    }
    await run(process.execPath, ['--test', '--test-reporter=tap', ...files], { env, cwd: plain })
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

await main(process.argv.slice(2)).catch(error => {
  process.stderr.write(`${error.message}\n`)
  process.exitCode = 1
})
