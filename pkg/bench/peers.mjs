// The stores that people use in Node today, under the same load. They are installed on demand, beside the build's other tools.
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { output, root } from '../scripts/tools.mjs'

const VERSIONS = { 'memory-level': '3.1.0', 'classic-level': '3.0.0', lmdb: '3.5.6' }
const home = join(root, 'target', 'tools', 'npm-peers')
const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm'

function note(line) {
  process.stderr.write(`${line}\n`)
}

/** Answers the peer's exports; `undefined` if it can't be had here. */
function load(name) {
  const version = VERSIONS[name]
  const folder = join(home, `${name}-${version}`)
  try {
    if (!existsSync(join(folder, 'node_modules', name))) {
      note(`installing ${name} ${version}`)
      mkdirSync(folder, { recursive: true })
      writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'peer', private: true }))
      output(npm, ['install', '--no-audit', '--no-fund', '--prefix', folder, `${name}@${version}`])
    }
    return createRequire(join(folder, 'package.json'))(name)
  } catch (error) {
    note(`${name} can't be measured here: ${error.message.split('\n')[0]}`)
    return undefined
  }
}

async function eachAwaited(keys, call) {
  for (const key of keys) await call(key)
  return keys.length
}

function each(keys, call) {
  for (const key of keys) if (call(key) === undefined) throw new Error(`${key} is not there`)
  return keys.length
}

/** A store of the `level` family. */
async function level(db, { workload, timed }) {
  const { keys, value } = workload
  await db.open()
  const figures = {
    put_us: await timed(keys.length, () => eachAwaited(keys, key => db.put(key, value))),
    get_sync_us: await timed(keys.length, () => each(keys, key => db.getSync(key))),
    get_us: await timed(keys.length, () => eachAwaited(keys, key => db.get(key))),
    range_us: await timed(keys.length, async () => {
      let seen = 0
      for await (const _ of db.iterator()) seen += 1
      return seen
    }),
  }
  await db.close()
  return figures
}

async function lmdb(open, folder, { workload, timed }) {
  const { keys, value, durable } = workload
  const db = open({ path: folder, encoding: 'string' })
  const some = keys.slice(0, durable)
  const figures = {
    put_durable_us: await timed(durable, () => eachAwaited(some, key => db.put(key, value))),
    put_batched_us: await timed(keys.length, async () => {
      await Promise.all(keys.map(key => db.put(key, value)))
      return keys.length
    }),
    get_sync_us: await timed(keys.length, () => each(keys, key => db.get(key))),
    range_us: await timed(keys.length, () => {
      let seen = 0
      for (const _ of db.getRange({})) seen += 1
      return seen
    }),
  }
  await db.close()
  return figures
}

/** Measures every peer that can be had. */
export async function peers(bench) {
  const [memory, classic, { open } = {}] = Object.keys(VERSIONS).map(load)
  const measures = {
    memory_level: memory && (() => level(new memory.MemoryLevel(), bench)),
    classic_level: classic && (folder => level(new classic.ClassicLevel(folder), bench)),
    lmdb: open && (folder => lmdb(open, folder, bench)),
  }
  const figures = {}
  for (const [name, measure] of Object.entries(measures)) {
    if (measure === undefined) continue
    figures[name] = await bench.rounds(3, async () => {
      const folder = mkdtempSync(join(tmpdir(), 'palimpsest-kv-peer-'))
      try {
        return await measure(folder)
      } finally {
        rmSync(folder, { recursive: true, force: true })
      }
    })
  }
  return figures
}
