/**
 * Makes a machine that has only Rust (by rustup), Node and npm ready for the project. Every part looks first
 * whether there is anything to do, so that a second run takes a moment. Nothing here needs a superuser, but for a browser.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { wasmBindgenVersion } from '../../pkg/scripts/tools.mjs'
import { since } from '../../www/tour/terminal.mjs'
import { CHROMEDRIVER, CHROMIUM } from './chromium.mjs'
import { ETCD_UNPACKED, etcdProgram } from './etcd.mjs'
import { answer, ROOT, runAll, succeeds } from './exec.mjs'
import { fingerprint, isStamped, stamp } from './stamp.mjs'

const NPM_INPUTS = ['package.json', 'package-lock.json', 'pkg/package.json', 'www/package.json']

/** Programs of others, which only the benchmark in a browser has any use for. */
const PEERS = join('tests', 'bench', 'browser')
const PEER_INPUTS = ['package.json', 'package-lock.json'].map(name => join(PEERS, name))

/** What takes less is not mentioned. */
const WORTH_TELLING_MS = 1000

/** Parts that this process has made ready or is making ready: steps that run at once share them. */
const made = new Map()

/** A machine lacks something that this script does not install; the message says what to do. */
export class Missing extends Error {}

/** The installation belongs to the package's build; here it is only made to happen with its progress shown. */
const INSTALL_WASM_BINDGEN = `import('./pkg/scripts/tools.mjs').then(tools => tools.ensureWasmBindgen())`
/** The tool runs for half a second: compiling it for speed would take three more minutes of a processor. */
const QUICK_TO_COMPILE = { CARGO_PROFILE_RELEASE_OPT_LEVEL: '0' }

/**
 * Every part: what it needs first, whether it is ready, and what makes it so.
 * @type {Record<string, { title: string, needs: string[], isReady: () => Promise<boolean>,
 *   commands: { command: string[], env?: Record<string, string> }[], after?: () => void }>}
 */
const PARTS = {
  rust: { title: 'Rust', needs: [], isReady: isRustReady, commands: [] },
  linker: { title: 'C compiler', needs: [], isReady: isLinkerReady, commands: [] },
  packages: {
    title: 'npm packages',
    needs: [],
    isReady: async () => isStamped('installed', fingerprint(NPM_INPUTS)),
    commands: [{ command: ['npm', 'ci', '--no-audit', '--no-fund', '--loglevel=warn'] }],
    after: () => stamp('installed', fingerprint(NPM_INPUTS)),
  },
  rustfmt: component('rustfmt', ['cargo', 'fmt', '--version']),
  clippy: component('clippy', ['cargo', 'clippy', '--version']),
  'wasm32-unknown-unknown': target('wasm32-unknown-unknown'),
  'wasm32v1-none': target('wasm32v1-none'),
  'thumbv7em-none-eabihf': target('thumbv7em-none-eabihf'),
  'wasm-bindgen': {
    title: 'wasm-bindgen, compiled once (one to three minutes)',
    needs: ['rust', 'linker'],
    isReady: async () => existsSync(join(wasmBindgenFolder(), 'wasm-bindgen-test-runner')),
    commands: [{ command: [process.execPath, '-e', INSTALL_WASM_BINDGEN], env: QUICK_TO_COMPILE }],
  },
  etcd: {
    title: 'etcd, to compare with',
    needs: [],
    isReady: async () => existsSync(ETCD_UNPACKED) || (await succeeds([etcdProgram(), '--version'])),
    commands: [{ command: [process.execPath, join('tests', 'run', 'etcd.mjs')] }],
  },
  chromium: {
    title: 'Chromium and its driver',
    needs: [],
    isReady: async () => existsSync(CHROMIUM) && existsSync(CHROMEDRIVER),
    commands: [{ command: [process.execPath, join('tests', 'run', 'chromium.mjs')] }],
  },
  'browser-peers': {
    title: 'what the engine is compared with in a browser',
    needs: ['packages'],
    isReady: async () =>
      existsSync(join(ROOT, PEERS, 'node_modules')) && isStamped('browser-peers', fingerprint(PEER_INPUTS)),
    commands: [{ command: ['npm', 'ci', '--prefix', PEERS, '--ignore-scripts', '--no-audit', '--no-fund'] }],
    after: () => stamp('browser-peers', fingerprint(PEER_INPUTS)),
  },
  package: {
    title: 'npm package palimpsest-kv',
    needs: ['packages', 'rust', 'linker', 'wasm32-unknown-unknown', 'wasm-bindgen'],
    // The build looks itself for what has changed.
    isReady: async () => false,
    commands: [{ command: [process.execPath, join('pkg', 'scripts', 'build.mjs')] }],
  },
}

/**
 * Makes the named parts ready, and what they need before them.
 * @param {import('../../www/tour/terminal.mjs').Terminal} terminal
 * @param {string[]} names
 */
export async function setUp(terminal, names) {
  for (const name of inOrder(names)) {
    if (!made.has(name)) made.set(name, makeReady(terminal, name))
    await made.get(name)
  }
}

async function makeReady(terminal, name) {
  const part = PARTS[name]
  if (await part.isReady()) return
  const start = performance.now()
  const title = `setup: ${part.title}`
  await runAll(terminal, { title, log: `setup-${name}`, commands: part.commands })
  part.after?.()
  if (performance.now() - start > WORTH_TELLING_MS) terminal.line(`${title} is ready  ${since(start)}`)
}

function inOrder(names, seen = new Set()) {
  for (const name of names) {
    if (seen.has(name)) continue
    inOrder(PARTS[name].needs, seen)
    seen.add(name)
  }
  return [...seen]
}

async function isRustReady() {
  const version = /^rustc (\d+)\.(\d+)/.exec((await answer(['rustc', '--version'])) ?? '')
  const least = /^rust-version = "((\d+)\.(\d+))/m.exec(readFileSync(join(ROOT, 'Cargo.toml'), 'utf8'))
  if (version === null)
    throw new Missing('Rust is missing. Install it as https://rustup.rs says, then try again.')
  const [have, need] = [version, least.slice(1)].map(
    ([, major, minor]) => Number(major) * 10_000 + Number(minor),
  )
  if (have < need) {
    throw new Missing(`Rust ${least[1]} or newer is needed, this is ${version[0]}. Run: rustup update stable`)
  }
  return true
}

async function isLinkerReady() {
  if (await succeeds(['cc', '--version'])) return true
  throw new Missing('Rust needs a C compiler to link with. On Debian: apt-get install gcc libc6-dev')
}

function component(name, probe) {
  return {
    title: `Rust component ${name}`,
    needs: ['rust'],
    isReady: () => succeeds(probe),
    commands: [{ command: ['rustup', 'component', 'add', name] }],
  }
}

function target(name) {
  return {
    title: `Rust target ${name}`,
    needs: ['rust'],
    isReady: async () => {
      const folder = await answer(['rustc', '--print', 'target-libdir', '--target', name])
      return folder !== undefined && existsSync(folder)
    },
    commands: [{ command: ['rustup', 'target', 'add', name] }],
  }
}

/** Where the tools of wasm-bindgen are, in the version of its crate. */
export function wasmBindgenFolder() {
  return join(ROOT, 'target', 'tools', `wasm-bindgen-${wasmBindgenVersion()}`, 'bin')
}
