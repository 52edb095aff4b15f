#!/usr/bin/env node
import { parseArgs } from 'node:util'
import {
  freeing,
  Instance,
  type RawEngine,
  type RawEtcdReport,
  type RawExamined,
  type RawSalvaged,
} from './engine.js'
import { invalid, PalimpsestError } from './errors.js'
import { loadEngine } from './node-engine.js'
import { newFile, type Read, readFile, readForeign, useFile } from './node-file.js'
import {
  type Copied,
  checkText,
  copiedText,
  etcdText,
  isComplete,
  lockText,
  plain,
  salvageText,
} from './reports.js'
import type { Status, SyncStorage } from './types.js'

const USAGE = `usage: palimpsest check FILE [--json]
       palimpsest salvage FILE OUT [--json]
       palimpsest export FILE OUT [--json]
       palimpsest import IN FILE [--json]
       palimpsest import-etcd SNAPSHOT FILE [--skip-hash-check] [--json]

  check        reads all of the store in FILE and tells every damage it finds
  salvage      writes what can still be read of the store in FILE to a new store in OUT,
               and tells what is missing
  export       writes a copy of the store in FILE, with its history and leases, to OUT
  import       makes a new store in FILE of such a copy
  import-etcd  makes a new store in FILE of a snapshot of etcd 3, with its history and leases
  --skip-hash-check  takes a snapshot without a hash at its end, such as a member's file db
  --json       the report as one JSON object
  --help       this text

A file that is written must not exist yet; it gets its name when it is whole. A store that is
open is refused. check and salvage never change FILE; where no lock can be written beside it, they
read it without one and say so.

exit codes: 0  the store is sound; all of it was saved, exported or imported
            1  damage was found; something is missing; nothing was imported
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
  const { answer: found, isLocked }: Read<RawExamined> = readFile(file, storage =>
    guarded(instance, () => instance.raw.examine(storage)),
  )
  const fields = { command: 'check', file, ...found, ...unlockedField(isLocked) }
  return { isFine: found.sound, fields, text: checkText(file, found) + lockText(file, isLocked) }
}

/** A field that is there only where it says something. */
function unlockedField(isLocked: boolean): { unlocked?: true } {
  return isLocked ? {} : { unlocked: true }
}

async function salvage(file: string, out: string): Promise<Report> {
  const instance = await engine()
  const { answer: saved, isLocked }: Read<RawSalvaged> = readFile(file, from =>
    newFile(out, to => guarded(instance, () => instance.raw.salvage(from, to))),
  )
  const complete = isComplete(saved)
  const fields = { command: 'salvage', file, out, complete, ...saved, ...unlockedField(isLocked) }
  return { isFine: complete, fields, text: salvageText({ file, out }, saved) + lockText(file, isLocked) }
}

/** Bytes of a file that are imported at once. */
const PIECE_BYTES = 1024 * 1024

/** What a store that was made or copied tells of itself. */
function copied(engine: RawEngine): Copied {
  const { revision, compacted, liveKeys, records, leases } = engine.status() as Status
  return { revision, compacted, keys: liveKeys, records, leases }
}

/** Writes a copy of a store, and answers its length. */
function write(engine: RawEngine, to: SyncStorage): number {
  let bytes = 0
  freeing(engine.export(), stream => {
    for (let chunk = stream.next(); chunk !== undefined; chunk = stream.next()) {
      if (chunk.length > 0) to.write(bytes, chunk)
      bytes += chunk.length
    }
  })
  to.sync()
  return bytes
}

/** All that is still there goes into a copy, whatever rules have kept it: which those are, only the programs that use the store know. */
const KEEPING_ALL = {
  retention: [{ prefix: new Uint8Array(), newest: 10_000, forAtLeast: Number.MAX_SAFE_INTEGER }],
}

async function exportStore(file: string, out: string): Promise<Report> {
  const instance = await engine()
  const { raw } = instance
  const done = useFile(file, storage =>
    newFile(out, to =>
      guarded(instance, () =>
        // Not closed: the store has changed nothing that is to be remembered.
        freeing(new raw.Engine(storage, KEEPING_ALL), engine => ({
          bytes: write(engine, to),
          ...copied(engine),
        })),
      ),
    ),
  )
  return {
    isFine: true,
    fields: { command: 'export', file, out, ...done },
    text: copiedText(`${out} is a copy of ${file}`, done),
  }
}

async function importStore(from: string, file: string): Promise<Report> {
  const instance = await engine()
  const { raw } = instance
  const done = readForeign(from, source =>
    newFile(file, to =>
      guarded(instance, () =>
        freeing(new raw.Importer(to, {}), importer => {
          const bytes = source.length()
          const piece = new Uint8Array(PIECE_BYTES)
          for (let at = 0; at < bytes; at += PIECE_BYTES) {
            const part = piece.subarray(0, Math.min(PIECE_BYTES, bytes - at))
            source.read(at, part)
            importer.feed(part)
          }
          return freeing(importer.finish(), engine => ({ bytes, ...copied(engine) }))
        }),
      ),
    ),
  )
  return {
    isFine: true,
    fields: { command: 'import', from, file, ...done },
    text: copiedText(`${file} is the store of ${from}`, done),
  }
}

async function importEtcd({ skipsHashCheck }: Flags, snapshot: string, file: string): Promise<Report> {
  const instance = await engine()
  const { raw } = instance
  const done = readForeign(snapshot, source =>
    newFile(file, to =>
      guarded(instance, () =>
        freeing(new raw.EtcdImporter(source, to, {}, skipsHashCheck), importer => {
          while (importer.step()) {
            // Until all is there.
          }
          return freeing(importer.finish(), engine => {
            const report: RawEtcdReport = importer.report()
            return { bytes: source.length(), ...copied(engine), ...report }
          })
        }),
      ),
    ),
  )
  return {
    isFine: true,
    fields: { command: 'import-etcd', snapshot, file, ...done },
    text: etcdText(`${file} has the history of ${snapshot}`, done),
  }
}

/** What is said besides the files. */
interface Flags {
  readonly skipsHashCheck: boolean
}

/** A command: what files it takes, and what it does. */
interface Command {
  readonly files: string
  readonly run: (flags: Flags, ...files: [string, string]) => Promise<Report>
}

const commands: Readonly<Record<string, Command>> = {
  check: { files: 'FILE', run: (_, file) => check(file) },
  salvage: { files: 'FILE OUT', run: (_, file, out) => salvage(file, out) },
  export: { files: 'FILE OUT', run: (_, file, out) => exportStore(file, out) },
  import: { files: 'IN FILE', run: (_, from, file) => importStore(from, file) },
  'import-etcd': { files: 'SNAPSHOT FILE', run: importEtcd },
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
    'skip-hash-check': { type: 'boolean', default: false },
  } as const
  let parsed: {
    values: { json: boolean; help: boolean; 'skip-hash-check': boolean }
    positionals: string[]
  }
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
  const flags = { skipsHashCheck: values['skip-hash-check'] }
  if (flags.skipsHashCheck && command.run !== importEtcd) throw invalid(`${name} checks no hash`)
  return { ...given, run: () => command.run(flags, ...(files as [string, string])) }
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
    return error.code === 'INVALID_SOURCE' ? CODES.damaged : CODES.impossible
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
