#!/usr/bin/env node
import { parseArgs } from 'node:util'
import { Instance, type RawExamined, type RawSalvaged } from './engine.js'
import { invalid, PalimpsestError } from './errors.js'
import { loadEngine } from './node-engine.js'
import { newFile, readFile } from './node-file.js'
import { checkText, isComplete, plain, salvageText } from './reports.js'

const USAGE = `usage: palimpsest check FILE [--json]
       palimpsest salvage FILE OUT [--json]

  check     reads all of the store in FILE and tells every damage it finds
  salvage   writes what can still be read of the store in FILE to a new store in OUT,
            which must not exist yet, and tells what is missing
  --json    the report as one JSON object
  --help    this text

Neither changes FILE. Both hold its lock: a store that is open is refused.

exit codes: 0  the store is sound; all of it was saved
            1  damage was found; something is missing
            2  the command was wrong, or a file can't be read or written
`

/** How the program ends. */
const CODES = { fine: 0, damaged: 1, impossible: 2 } as const

/** What a command has to say. */
interface Report {
  readonly isFine: boolean
  /** For programs. */
  readonly fields: object
  /** For people. */
  readonly text: string
}

async function engine(): Promise<Instance> {
  return new Instance(await loadEngine())
}

/** Calls the engine, and translates what it throws. */
function guarded<T>(instance: Instance, call: () => T): T {
  try {
    return call()
  } catch (thrown) {
    throw instance.error(thrown)
  }
}

async function check(file: string): Promise<Report> {
  const instance = await engine()
  const found: RawExamined = readFile(file, storage => guarded(instance, () => instance.raw.examine(storage)))
  return { isFine: found.sound, fields: { command: 'check', file, ...found }, text: checkText(file, found) }
}

async function salvage(file: string, out: string): Promise<Report> {
  const instance = await engine()
  const saved: RawSalvaged = readFile(file, from =>
    newFile(out, to => guarded(instance, () => instance.raw.salvage(from, to))),
  )
  const complete = isComplete(saved)
  const fields = { command: 'salvage', file, out, complete, ...saved }
  return { isFine: complete, fields, text: salvageText({ file, out }, saved) }
}

const commands: Readonly<Record<string, { files: string; run: (...files: string[]) => Promise<Report> }>> = {
  check: { files: 'FILE', run: check },
  salvage: { files: 'FILE OUT', run: salvage },
}

/** The command line, taken apart. */
interface Call {
  readonly run: () => Promise<Report>
  readonly isHelp: boolean
  readonly isJson: boolean
}

function parse(args: string[]): Call {
  const options = {
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  } as const
  let parsed: { values: { json: boolean; help: boolean }; positionals: string[] }
  try {
    parsed = parseArgs({ args, options, allowPositionals: true })
  } catch (error) {
    throw invalid((error as Error).message)
  }
  const { values, positionals } = parsed
  const [name, ...files] = positionals
  const given = { isHelp: values.help, isJson: values.json }
  const nothing = async (): Promise<never> => {
    throw invalid('there is nothing to do')
  }
  if (given.isHelp) return { ...given, run: nothing }
  if (name === undefined) throw invalid('which command?')
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (command === undefined) throw invalid(`there is no command ${JSON.stringify(name)}`)
  if (files.length !== command.files.split(' ').length) throw invalid(`${name} takes ${command.files}`)
  return { ...given, run: () => command.run(...files) }
}

/** Answers the exit code. */
async function main(args: string[]): Promise<number> {
  let call: Call
  try {
    call = parse(args)
  } catch (error) {
    process.stderr.write(`palimpsest: ${(error as Error).message}\n\n${USAGE}`)
    return CODES.impossible
  }
  if (call.isHelp) {
    process.stdout.write(USAGE)
    return CODES.fine
  }
  try {
    const { isFine, fields, text } = await call.run()
    process.stdout.write(call.isJson ? `${JSON.stringify(plain(fields))}\n` : text)
    return isFine ? CODES.fine : CODES.damaged
  } catch (error) {
    if (!(error instanceof PalimpsestError)) throw error
    if (call.isJson) process.stdout.write(`${JSON.stringify(plain({ error: errorFields(error) }))}\n`)
    else process.stderr.write(`palimpsest: ${error.message}\n`)
    return CODES.impossible
  }
}

function errorFields(error: PalimpsestError): object {
  return { ...error, message: error.message }
}

// Whoever reads the report may have read enough of it; how the program ends tells of the store, not of its reader.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') process.exitCode = CODES.impossible
  })
}

main(process.argv.slice(2)).then(
  code => {
    process.exitCode = code
  },
  error => {
    process.stderr.write(`palimpsest: ${error instanceof Error ? (error.stack ?? error.message) : error}\n`)
    process.exitCode = CODES.impossible
  },
)
