import { type ErrorCode, type ErrorFields, PalimpsestError } from './errors.js'
import type { RawAreas } from './exchange.js'

/** What is read alike from the store as it is now and from a snapshot. Keys are packed by `keys.ts`. */
export interface RawReader {
  count(keys: Uint8Array): number
  cursor(keys: Uint8Array, options: RawRangeOptions): RawCursor
  history(key: Uint8Array, options: RawHistoryOptions): RawBatches
  diff(keys: Uint8Array, options: RawDiffOptions): RawBatches
}

/** How a history is read; `from` is 0 for the beginning. */
export interface RawHistoryOptions {
  reverse?: boolean | undefined
  from?: number | undefined
  limit?: number | undefined
  keysOnly?: boolean | undefined
}

/** Which revisions are compared, and how. */
export interface RawDiffOptions {
  from: number
  to: number
  limit?: number | undefined
  keysOnly?: boolean | undefined
}

/** How a range is read. */
export interface RawRangeOptions {
  revision?: number | undefined
  /** A time in place of a revision; in a transaction only. */
  at?: number | undefined
  limit?: number | undefined
  keysOnly?: boolean | undefined
  countOnly?: boolean | undefined
  withCount?: boolean | undefined
  sort?: { by: string; order: string } | undefined
  minModRevision?: number | undefined
  maxModRevision?: number | undefined
  minCreateRevision?: number | undefined
  maxCreateRevision?: number | undefined
}

/** How something is put. */
export interface RawPutOptions {
  lease?: number | undefined
  keepLease?: boolean | undefined
  previous?: boolean | undefined
}

/** What a watcher is told; `from` is 0 for the next revision. */
export interface RawWatchOptions {
  from?: number | undefined
  previous?: boolean | undefined
  puts?: boolean | undefined
  deletes?: boolean | undefined
  progress?: number | undefined
  fragmentBytes?: number | undefined
  hold?: { readonly revisions?: number | undefined; readonly bytes?: number | undefined } | undefined
}

/** What there is to tell a watcher: packed events; or that it is to be asked again; or nothing. */
export type RawWatched =
  | { state: 'batch'; revision: number; isFragment: boolean; events: Uint8Array }
  | { state: 'behind' }
  | { state: 'idle' }

/** A snapshot in the engine; `free` gives its pages back. */
export interface RawSnapshot extends RawReader {
  get(key: Uint8Array): Uint8Array | undefined
  entry(key: Uint8Array): Uint8Array | undefined
  revision(): number
  free(): void
}

/** Something that is being read in batches: packed items, at most so many, and no further one once there are so many bytes. */
export interface RawBatches {
  next(items: number, bytes: number): Uint8Array | undefined
  free(): void
}

/** A range that is being read. */
export interface RawCursor extends RawBatches {
  count(): number
}

/** A compaction that is tried out. */
export interface RawDryRun {
  free(): void
}

/** What a compaction would free: of each prefix, the records and their bytes. */
export interface RawDryRunReport {
  revision: number
  records: number
  bytes: number
  prefixes: [prefix: Uint8Array, records: number, bytes: number][]
}

/** The wasm's transaction builder. */
export interface RawTransaction {
  compareVersion(keys: Uint8Array, relation: number, value: number): void
  compareCreateRevision(keys: Uint8Array, relation: number, value: number): void
  compareModRevision(keys: Uint8Array, relation: number, value: number): void
  compareLease(keys: Uint8Array, relation: number, value: number): void
  compareValue(keys: Uint8Array, relation: number, value: Uint8Array): void
  otherwise(): void
  put(key: Uint8Array, value: Uint8Array | undefined, options: RawPutOptions | undefined): void
  delete(keys: Uint8Array): void
  deleteWithPrevious(keys: Uint8Array): void
  read(keys: Uint8Array, options: RawRangeOptions): void
  nest(inner: RawTransaction): void
  free(): void
}

/** One operation's answer; `entries` of those in {@link RawAnswer.entries} are its own. */
export type RawResult =
  | { type: 'put'; entries: number }
  | { type: 'delete'; entries: number; deleted: number }
  | { type: 'get'; entries: number; more: boolean; count: number | undefined }
  | ({ type: 'txn' } & RawSummary)

/** The plain part of a transaction's answer. */
export interface RawSummary {
  succeeded: boolean
  revision: number
  results: RawResult[]
}

/** A transaction's answer. */
export interface RawAnswer {
  summary(): RawSummary
  entries(): Uint8Array
  free(): void
}

/** When the engine wants to run again; `at` is on the scale of `performance.now()`. */
export type RawNext = { when: 'now' } | { when: 'at'; at: number } | { when: 'idle' }

/** How far a compaction is, as the engine says it. */
export interface RawProgress {
  revision: number
  removed: number
  total: number
  pagesFreed: number
  held: number
  finished: boolean
}

/** A copy of a store that is being taken. */
export interface RawExport {
  /** The next bytes, which may be none; `undefined` at the end. */
  next(): Uint8Array | undefined
  revision(): number
  free(): void
}

/** A store that is being made of a copy. */
export interface RawImporter {
  feed(bytes: Uint8Array): void
  finish(): RawEngine
  cancel(): void
  free(): void
}

/** What was taken of a snapshot of etcd. */
export interface RawEtcdReport {
  records: number
  leases: number
  missingLeases: number
  marks: number
}

/** A store that is being made of a snapshot of etcd; `report` is there once it is finished. */
export interface RawEtcdImporter {
  step(): boolean
  finish(): RawEngine
  report(): RawEtcdReport
  cancel(): void
  free(): void
}

/** A store in the engine. The revision 0 is the newest. */
export interface RawEngine extends RawReader {
  get(key: Uint8Array, revision: number): Uint8Array | undefined
  entry(key: Uint8Array, revision: number): Uint8Array | undefined
  exchange(): RawAreas
  putExchanged(keyBytes: number, valueBytes: number): number
  getExchanged(keyBytes: number, revision: number): number | undefined
  revision(): number
  durableRevision(): number
  put(key: Uint8Array, value: Uint8Array): number
  putWith(
    key: Uint8Array,
    value: Uint8Array | undefined,
    options: RawPutOptions,
  ): { revision: number; previous: Uint8Array | undefined }
  delete(keys: Uint8Array): { revision: number; deleted: number }
  deleteWithPrevious(keys: Uint8Array): { revision: number; deleted: number; previous: Uint8Array }
  grantLease(ttl: number, id: number | undefined): { id: number; ttl: number; revision: number }
  revokeLease(id: number): { revision: number; deleted: number }
  keepAlive(id: number): number
  lease(id: number): { id: number; ttl: number; remaining: number; keys: number } | undefined
  leaseKeys(id: number): Uint8Array[]
  leases(): Float64Array
  pin(name: string, revision: number, expires: number | undefined): number
  unpin(name: string): void
  pins(): { name: string; revision: number; expires: number | undefined; heldRecords: number }[]
  watch(keys: Uint8Array, options: RawWatchOptions): number
  poll(watcher: number): RawWatched
  readyWatchers(): Float64Array
  watchProgress(watcher: number): number | undefined
  cancelWatcher(watcher: number): void
  setAutoCompaction(policy: object): void
  setRetention(rules: object[]): void
  setThinning(thinning: object | undefined): void
  setQuota(bytes: number | undefined): void
  shrink(): void
  pages(): Uint32Array
  hashKv(revision: number): { hash: number; compacted: number | undefined; revision: number }
  snapshot(revision: number): RawSnapshot
  export(): RawExport
  commit(transaction: RawTransaction): RawAnswer
  compact(revision: number): number
  compaction(): RawProgress | undefined
  compactionTo(revision: number): RawProgress | undefined
  dryRun(revision: number, delimiter: Uint8Array, depth: number): RawDryRun
  dryRunStep(run: RawDryRun, budget: number): RawDryRunReport | undefined
  revisionAt(millis: number): number | undefined
  readableAt(millis: number): number
  timeOf(revision: number): number | undefined
  run(budget: number): RawNext
  flush(): number
  checkpoint(): void
  /** All of a store's status but the holders, which are as many as there are pins. */
  status(): object
  holders(): object[]
  compacted(): number | undefined
  check(): object
  close(): void
  free(): void
}

/** A page that is damaged. */
export interface RawDamage {
  page: number
  kind: string
  what: string
}

/** What was found in a store that was looked at; the last four are there if it is sound. */
export interface RawExamined {
  sound: boolean
  pageBytes: number
  pages: number
  fileBytes: number
  damage: RawDamage[]
  moreDamage: number
  revision?: number | undefined
  compacted?: number | undefined
  keys?: number | undefined
  records?: number | undefined
}

/** One change of one key that is missing, or some changes of a stretch of revisions. */
export interface RawLost {
  key?: Uint8Array
  revision?: number
  fromRevision?: number
  toRevision?: number
  what: string
}

/** What was saved of a damaged store. */
export interface RawSalvaged {
  pagesRead: number
  damagedPages: number
  damage: RawDamage[]
  moreDamage: number
  recordsSaved: number
  recordsLost: number
  lost: RawLost[]
  moreLost: number
  renumbered: number
  unconfirmedLeaves: number
  keys: number
  revision: number
  compacted?: number | undefined
  leases: number
  pins: number
}

/** Linear memory; its buffer is another one whenever it has grown. */
export interface RawMemory {
  readonly buffer: ArrayBuffer
}

/** The wasm module with its glue. */
export interface RawModule {
  Engine: new (storage: object | undefined, options: object) => RawEngine
  Transaction: new () => RawTransaction
  Importer: new (storage: object | undefined, options: object) => RawImporter
  EtcdImporter: new (
    source: object,
    storage: object | undefined,
    options: object,
    skipHashCheck: boolean,
  ) => RawEtcdImporter
  examine(storage: object): RawExamined
  salvage(from: object, to: object): RawSalvaged
  failure(): string | undefined
  linearMemory(): RawMemory
}

/** Whether the engine threw an answer; anything else is a breakdown. */
function isAnswer(thrown: unknown): thrown is Error & { code: ErrorCode } {
  return thrown instanceof Error && typeof (thrown as { code?: unknown }).code === 'string'
}

/** Uses an object of the wasm and frees it, but not after a breakdown: then nothing of the instance is touched again. */
export function freeing<T extends { free(): void }, R>(raw: T, use: (raw: T) => R): R {
  let answer: R
  try {
    answer = use(raw)
  } catch (thrown) {
    if (thrown instanceof PalimpsestError || isAnswer(thrown)) raw.free()
    throw thrown
  }
  raw.free()
  return answer
}

/**
 * One instance of the wasm module, and whether it still works.
 *
 * A panic leaves the instance with its state half changed. From then on every call on every store of the instance is
 * refused with the panic's message.
 */
export class Instance {
  readonly raw: RawModule
  readonly #witnesses: Set<() => void> = new Set()
  #poison: string | undefined

  constructor(raw: RawModule) {
    this.raw = raw
  }

  /** Whether it can be used. */
  get isSound(): boolean {
    return this.#poison === undefined
  }

  /** Throws if the instance broke down earlier. */
  assertSound(): void {
    if (this.#poison !== undefined) throw this.#poisoned(this.#poison)
  }

  /**
   * What the engine threw, as this package's error. What has no code is no answer but a breakdown (a trap, an overflow of the
   * stack), after which the instance is not used again.
   */
  error(thrown: unknown): PalimpsestError {
    if (thrown instanceof PalimpsestError) return thrown
    if (isAnswer(thrown)) return translated(thrown.code, thrown)
    if (this.#poison === undefined) {
      this.#poison = this.#cause(thrown)
      for (const witness of this.#witnesses) witness()
    }
    return this.#poisoned(this.#poison)
  }

  /** Calls `witness` when the instance breaks down. It must not throw. */
  observe(witness: () => void): void {
    this.#witnesses.add(witness)
  }

  /** Ends an `observe`. */
  forget(witness: () => void): void {
    this.#witnesses.delete(witness)
  }

  #cause(thrown: unknown): string {
    const words = thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : String(thrown)
    try {
      return this.raw.failure() ?? words
    } catch {
      // The instance is too broken even to say what happened.
      return words
    }
  }

  #poisoned(reason: string): PalimpsestError {
    const message = `the engine has broken down and can't be used any more in this process: ${reason}`
    return new PalimpsestError('POISONED', message, { reason })
  }
}

/** The engine's names are Rust's; options have JavaScript's here. */
function camelCase(name: string): string {
  return name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase())
}

function translated(code: ErrorCode, error: Error): PalimpsestError {
  const { code: _named, ...fields }: ErrorFields & { code?: string } = { ...(error as object) }
  if (fields.option === undefined) return new PalimpsestError(code, error.message, fields)
  const option = camelCase(fields.option)
  return new PalimpsestError(code, `the option ${option} is invalid: ${fields.reason}`, { ...fields, option })
}
