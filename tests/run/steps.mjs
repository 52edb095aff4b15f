/** The steps of `npm test`: what each needs, what it runs, beside what, and whether it must have run tests. */
import { readdirSync } from 'node:fs'
import { basename, extname, join } from 'node:path'
import { CHROMEDRIVER, CHROMIUM } from './chromium.mjs'
import { builtProgram, NATIVE, ROOT, TARGET } from './exec.mjs'
import { wasmBindgenFolder } from './setup.mjs'

const WASM = 'wasm32-unknown-unknown'
const CORE = ['-p', 'palimpsest-kv']
const BINDINGS = ['-p', 'palimpsest-kv-wasm']
/** The benchmarks are a workspace of their own, built into the same folder. Their peers are built only to be measured. */
const BENCHMARKS = ['--manifest-path', join('tests', 'bench', 'Cargo.toml')]
const IN_ONE_FOLDER = ['--target-dir', TARGET]
const DENY_WARNINGS = ['--', '-D', 'warnings']

/** What is simulated at least. */
const SIMULATED = ['--operations', '1000000', '--crashes', '100000']
/** Short runs in which power goes at every write and every sync. */
const SIMULATED_AT_EVERY_CHANGE = ['--every', '--runs', '60']
/** What is asked of etcd and of the engine: always the same, so that a change is what makes it fail. `npm run conformance` asks anew. */
const COMPARED = ['--seed', '1', '--ops', '100000']
/** A workspace of their own are the fuzzers, too, which need a compiler of their own; here they are only formatted. */
const FUZZERS = ['--manifest-path', join('tests', 'fuzz', 'Cargo.toml')]

const ATTW = ['attw', '--pack', 'pkg', '--no-color']
/** The wasm is bytes for those who load it themselves; there are no types for it. The entries for browsers only are modules. */
const ATTWS = [
  { command: [...ATTW, '--exclude-entrypoints', 'palimpsest.wasm', 'slim', 'worker'] },
  { command: [...ATTW, '--profile', 'esm-only', '--entrypoints', 'slim', 'worker'] },
]

/** @typedef {{ command: string[], env?: Record<string, string>, cwd?: string }} Command */

/** The steps of a lane run in order, the lanes beside each other: what a step takes from another is made in its own lane. */
export const LANES = /** @type {const} */ (['engine', 'package'])

/**
 * `counts` says that the output must tell of tests that ran: a run of no test is a failure. `shows` picks what of the
 * output is worth telling.
 * @type {{ name: string, lane: typeof LANES[number], about: string, needs: string[], commands: Command[], counts?: true, shows?: RegExp }[]}
 */
export const STEPS = [
  {
    name: 'fmt',
    lane: 'engine',
    about: 'Rust is formatted',
    needs: ['rust', 'rustfmt'],
    commands: [
      cargo('fmt', '--all', '--check'),
      cargo('fmt', '--all', '--check', ...BENCHMARKS),
      cargo('fmt', '--check', ...FUZZERS),
    ],
  },
  {
    name: 'lint',
    lane: 'package',
    about: 'JavaScript and TypeScript are formatted and linted',
    needs: ['packages'],
    commands: [{ command: ['biome', 'ci', '--colors=off'] }],
  },
  {
    name: 'clippy',
    lane: 'engine',
    about: 'Rust is linted, on this machine and for WebAssembly',
    needs: ['rust', 'linker', 'clippy', WASM],
    commands: [
      cargo('clippy', '--workspace', '--all-targets', ...DENY_WARNINGS),
      cargo('clippy', ...BINDINGS, '--all-targets', '--target', WASM, ...DENY_WARNINGS),
      cargo(
        'clippy',
        ...BENCHMARKS,
        '-p',
        'palimpsest-kv-bench',
        '--all-targets',
        ...IN_ONE_FOLDER,
        ...DENY_WARNINGS,
      ),
    ],
  },
  {
    name: 'unit',
    lane: 'engine',
    about: 'unit, model, bad-input and tidiness tests',
    needs: ['rust', 'linker'],
    commands: [cargo('test', ...NATIVE, '--lib', '--bins', '--tests')],
    counts: true,
  },
  {
    name: 'simulate',
    lane: 'engine',
    about: 'whole stores on faulty media, natively and as WebAssembly',
    needs: ['rust', 'linker', WASM, 'wasm-bindgen'],
    commands: [
      cargo('build', ...NATIVE, '--bin', 'simulate'),
      { command: [builtProgram('debug', 'simulate'), ...SIMULATED] },
      { command: [builtProgram('debug', 'simulate'), ...SIMULATED_AT_EVERY_CHANGE] },
      node('tests/run/simulate.mjs', '--compare', '40', '--quick'),
    ],
    shows: /^passed: (.+operations, .+ crashes)/m,
  },
  {
    name: 'doctests',
    lane: 'engine',
    about: 'examples in the documentation run',
    needs: ['rust', 'linker'],
    commands: [cargo('test', ...NATIVE, '--doc')],
    counts: true,
  },
  {
    name: 'examples',
    lane: 'engine',
    about: 'the example programs run',
    needs: ['rust', 'linker'],
    commands: [
      cargo('build', ...NATIVE, '--examples'),
      ...exampleNames().map(name => ({ command: [builtProgram('debug', 'examples', name)] })),
    ],
  },
  {
    name: 'nostd',
    lane: 'engine',
    about: 'the engine builds where there is no operating system',
    needs: ['rust', 'linker', 'thumbv7em-none-eabihf', 'wasm32v1-none'],
    commands: ['thumbv7em-none-eabihf', 'wasm32v1-none'].flatMap(target =>
      [[], ['--features', 'exchange']].map(features =>
        cargo('check', ...CORE, '--no-default-features', ...features, '--target', target),
      ),
    ),
  },
  {
    name: 'docs',
    lane: 'engine',
    about: 'the documentation builds without a warning',
    needs: ['rust', 'linker'],
    commands: [{ ...cargo('doc', '--no-deps', '--workspace'), env: { RUSTDOCFLAGS: '-D warnings' } }],
  },
  {
    name: 'build',
    lane: 'package',
    about: 'the npm package builds',
    needs: ['packages', 'rust', 'linker', WASM, 'wasm-bindgen'],
    commands: [node('pkg/scripts/build.mjs')],
    shows: /^(for browsers: .+)/m,
  },
  {
    name: 'types',
    lane: 'package',
    about: 'a program written against the package has sound types',
    needs: ['packages', 'package'],
    commands: ['tour', 'inspector'].map(part => ({ command: ['tsc', '-p', join('www', part)] })),
  },
  {
    name: 'wasm',
    lane: 'package',
    about: 'the bindings, as WebAssembly in Node',
    needs: ['rust', 'linker', WASM, 'wasm-bindgen'],
    commands: [
      {
        ...cargo('test', ...BINDINGS, '--target', WASM, '--tests'),
        env: { CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER: testRunner() },
      },
    ],
    counts: true,
  },
  {
    name: 'package',
    lane: 'package',
    about: 'the packed npm package, installed elsewhere',
    needs: ['package'],
    commands: [{ command: ['npm', 'test', '--workspace', 'palimpsest-kv'] }],
    counts: true,
  },
  {
    name: 'browser',
    lane: 'package',
    about: 'the bindings and the packed npm package in Chromium',
    needs: ['rust', 'linker', WASM, 'wasm-bindgen', 'package', 'chromium', 'browser-peers'],
    commands: [
      inChromium('WASM_BINDGEN_USE_BROWSER'),
      inChromium('WASM_BINDGEN_USE_DEDICATED_WORKER'),
      { ...node('pkg/test/browser/run.mjs'), env: { CHROMIUM } },
      // Only that all of it runs.
      { ...node('tests/bench/browser/run.mjs', '--smoke'), env: { CHROMIUM } },
    ],
    counts: true,
  },
  {
    name: 'publishable',
    lane: 'package',
    about: 'the npm package is as registries, runtimes and bundlers want it',
    needs: ['package'],
    commands: [{ command: ['publint', 'pkg', '--strict'] }, ...ATTWS],
  },
  {
    name: 'tour',
    lane: 'package',
    about: 'the tour tells the truth, in plain lines and as JSON',
    needs: ['package'],
    commands: [node('--test', '--test-reporter=tap', 'tests/run/tour.test.mjs')],
    counts: true,
  },
  {
    name: 'inspector',
    lane: 'package',
    about: 'the inspector in Chromium, clicked through, and the examples for browsers',
    needs: ['package', 'chromium'],
    commands: [{ ...node('www/test/run.mjs'), env: { CHROMIUM } }],
    counts: true,
  },
  {
    name: 'conformance',
    lane: 'package',
    about: 'the same operations to a real etcd, every answer compared',
    needs: ['rust', 'linker', 'etcd'],
    commands: [node('tests/run/conformance.mjs', ...COMPARED)],
    shows: /^passed: (seed .+ comparisons with etcd)/m,
  },
]

function exampleNames() {
  const files = readdirSync(join(ROOT, 'core', 'examples'))
  return files.filter(name => extname(name) === '.rs').map(name => basename(name, '.rs'))
}

/** Where the tests of the bindings run. */
function testRunner() {
  return join(wasmBindgenFolder(), 'wasm-bindgen-test-runner')
}

/** The tests of the bindings in a browser, in the thread that a variable of their runner names. */
function inChromium(thread) {
  return {
    ...cargo('test', ...BINDINGS, '--target', WASM, '--test', 'exports'),
    env: { CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER: testRunner(), CHROMEDRIVER, [thread]: '1' },
  }
}

function cargo(...args) {
  return { command: ['cargo', ...args] }
}

function node(...args) {
  return { command: [process.execPath, ...args], cwd: ROOT }
}
