/**
 * Runs a script that uses the npm package: `node tests/run/prepared.mjs [--with PART,…] SCRIPT ARGUMENT…`. It sets up whatever that
 * needs first, and the parts, and says so on stderr, since stdout belongs to the script.
 */
import { spawn } from 'node:child_process'
import { Terminal } from '../../www/tour/terminal.mjs'
import { environment, Failed } from './exec.mjs'
import { Missing, setUp } from './setup.mjs'

const terminal = new Terminal(process.stderr)

const given = process.argv.slice(2)
const [parts, script] = given[0] === '--with' ? [given[1].split(','), given.slice(2)] : [[], given]

try {
  await setUp(terminal, ['package', ...parts])
  const child = spawn(process.execPath, script, { env: environment(), stdio: 'inherit' })
  // The child gets a signal from the keyboard too, and says how it ends.
  process.on('SIGINT', () => child.kill('SIGINT'))
  process.on('SIGTERM', () => child.kill('SIGTERM'))
  child.on('exit', code => (process.exitCode = code ?? 1))
} catch (error) {
  if (error instanceof Failed) terminal.raw(error.output)
  else if (!(error instanceof Missing) && error.code !== 'ENOENT') throw error
  terminal.line(error.message)
  process.exitCode = 1
}
