// Builds the measuring programs, or says why one can't be built.

import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'

const GO_PATH = '/usr/share/gocode'
const GO_PACKAGES = ['golang-go', 'golang-etcd-server-dev']

/** A program that can't be had on this machine: its engine is left out, and the run goes on. */
export class Unavailable extends Error {}

function run(command, args, options = {}) {
  const { status, error } = spawnSync(command, args, { stdio: ['ignore', 2, 2], ...options })
  if (error) throw new Unavailable(`${command} can't be run: ${error.message}`)
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} failed with status ${status}`)
}

const succeeds = (command, args) => spawnSync(command, args, { stdio: 'ignore' }).status === 0

/**
 * Builds what the engines need and answers how each program is called.
 * @param {string[]} engines
 * @param {{ root: string, here: string, say: (line: string) => void, skip: (engine: string, why: string) => void }} host
 * @returns {Record<string, { command: string, args: string[] }>}
 */
export function build(engines, host) {
  const programs = {}
  const builders = {
    native: buildNative,
    etcd: buildEtcd,
    npm: findNpm,
    redb: buildPeers,
    fjall: buildPeers,
    lmdb: buildPeers,
  }
  const built = new Set()
  for (const engine of engines) {
    const builder = builders[engine]
    try {
      if (!built.has(builder)) Object.assign(programs, builder(host))
      built.add(builder)
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error
      host.skip(engine, error.message)
    }
  }
  return programs
}

function cargo({ root, here }, crate) {
  const target = process.env.CARGO_TARGET_DIR ?? join(root, 'target')
  run('cargo', [
    'build',
    '--release',
    '-p',
    crate,
    '--manifest-path',
    join(here, 'Cargo.toml'),
    '--target-dir',
    target,
  ])
  return name => ({ command: join(target, 'release', name), args: [] })
}

function buildNative(host) {
  host.say('building the native programs (about half a minute the first time)')
  const program = cargo(host, 'palimpsest-kv-bench')
  return { native: program('palimpsest-kv-bench'), heap: program('heap'), simulate: buildSimulator(host) }
}

/** It has every check of the tests on, and is optimised as a release is. */
function buildSimulator({ root }) {
  const target = process.env.CARGO_TARGET_DIR ?? join(root, 'target')
  const manifest = join(root, 'Cargo.toml')
  run('cargo', [
    'build',
    '--profile',
    'simulation',
    '-p',
    'palimpsest-kv-simulator',
    '--manifest-path',
    manifest,
  ])
  return { command: join(target, 'simulation', 'simulate'), args: [] }
}

function buildPeers(host) {
  host.say('building redb, fjall and LMDB (about a minute the first time)')
  return { peers: cargo(host, 'palimpsest-kv-bench-peers')('palimpsest-kv-bench-peers') }
}

function findNpm({ root }) {
  const script = join(root, 'pkg', 'bench', 'node.mjs')
  if (!existsSync(script)) throw new Unavailable('pkg/bench/node.mjs is not there')
  return { npm: { command: process.execPath, args: [script, '--json'] } }
}

const hasEtcd = () => succeeds('go', ['version']) && existsSync(join(GO_PATH, 'src/go.etcd.io/etcd/mvcc'))

function buildEtcd(host) {
  if (!hasEtcd()) installEtcd(host)
  if (!hasEtcd()) throw new Unavailable(`${GO_PACKAGES.join(' and ')} did not bring Go and etcd's sources`)
  host.say('building the etcd program')
  const folder = join(host.root, 'target', 'bench')
  mkdirSync(folder, { recursive: true })
  const command = join(folder, 'etcdmvcc')
  const env = { ...process.env, GO111MODULE: 'off', GOPATH: GO_PATH }
  run('go', ['build', '-o', command, '.'], { cwd: join(host.here, 'etcd'), env })
  return { etcd: { command, args: [] } }
}

function installEtcd(host) {
  const install = GO_PACKAGES.join(' ')
  const isRoot = process.getuid?.() === 0
  if (!succeeds('apt-get', ['--version'])) {
    throw new Unavailable(`it needs the Debian packages ${install}, and there is no apt-get here`)
  }
  if (!isRoot && !succeeds('sudo', ['-n', 'true'])) {
    throw new Unavailable(`it needs the Debian packages ${install}: install them, or run as a user that can`)
  }
  host.say(`installing ${install} with apt-get`)
  const aptGet = (...args) => (isRoot ? run('apt-get', args) : run('sudo', ['-n', 'apt-get', ...args]))
  try {
    aptGet('update')
    aptGet('install', '-y', '--no-install-recommends', ...GO_PACKAGES)
  } catch (error) {
    throw new Unavailable(`${install} could not be installed: ${error.message}`)
  }
}
