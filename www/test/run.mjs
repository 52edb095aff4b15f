/** Builds the inspector, and tests it and the examples: `node www/test/run.mjs [FILE...]`. */
import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildInspector } from '../inspector/serve.mjs'

/** Pages wait much of the time. */
const AT_ONCE = 2

const here = fileURLToPath(new URL('.', import.meta.url))
const all = readdirSync(here).filter(name => name.endsWith('.test.mjs'))
const chosen = process.argv.length > 2 ? process.argv.slice(2) : all

await buildInspector()
const args = [
  '--test',
  `--test-concurrency=${AT_ONCE}`,
  '--test-reporter=spec',
  ...chosen.map(name => join(here, name)),
]
process.exitCode = spawnSync(process.execPath, args, { stdio: 'inherit' }).status ?? 1
