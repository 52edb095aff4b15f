/**
 * `npm run conformance`: asks a real etcd and the engine the same and compares all that they answer; with `--record` it writes the
 * vectors anew. Its arguments are the program's: `npm run conformance -- --help`.
 */
import { spawn } from 'node:child_process'
import { Terminal } from '../../www/tour/terminal.mjs'
import { etcdProgram } from './etcd.mjs'
import { builtProgram, environment, Failed, NATIVE, ROOT, runAll } from './exec.mjs'
import { Missing, setUp } from './setup.mjs'

const terminal = new Terminal(process.stdout)

async function main() {
  await setUp(terminal, ['rust', 'linker', 'etcd'])
  const command = ['cargo', 'build', ...NATIVE, '--bin', 'conformance']
  await runAll(terminal, {
    title: 'building the comparison',
    log: 'conformance-build',
    commands: [{ command }],
  })
  const args = ['--etcd', etcdProgram(), ...process.argv.slice(2)]
  const child = spawn(builtProgram('debug', 'conformance'), args, {
    cwd: ROOT,
    env: environment(),
    stdio: 'inherit',
  })
  child.on('exit', code => (process.exitCode = code ?? 1))
}

try {
  await main()
} catch (error) {
  if (error instanceof Failed) terminal.raw(error.output)
  else if (!(error instanceof Missing) && error.code !== 'ENOENT') throw error
  terminal.line(error.message)
  process.exitCode = 1
}
