import type * as t from '../types.js'

/**
 * How a method, or a property, of the store reaches an engine in another thread:
 *
 * - `call`: a message with its arguments; the promise is fulfilled with what comes back.
 * - `items`: what it answers is iterated, or collected, in batches.
 * - `own`: the page has code of its own for it.
 * - `here`: only where the engine is in the same thread.
 */
export type Way = 'call' | 'items' | 'own' | 'here'

type Methods<T> = Readonly<Record<Exclude<keyof T, symbol>, Way>>

/** What is read alike from a store and from a snapshot. */
const READER: Methods<t.Reader<t.ValueCodec, t.KeyCodec>> = {
  get: 'call',
  getSync: 'here',
  getEntry: 'call',
  range: 'items',
  rangeSync: 'here',
  keys: 'items',
  count: 'call',
  history: 'items',
  diff: 'items',
}

/** Every method of a snapshot. The compiler refuses one that is missing. */
export const SNAPSHOT: Methods<t.Snapshot<t.ValueCodec, t.KeyCodec>> = {
  ...READER,
  revision: 'own',
  close: 'own',
}

/** Every method of a store. The compiler refuses one that is missing. */
export const STORE: Methods<t.Store<t.ValueCodec, t.KeyCodec>> = {
  ...READER,
  revision: 'own',
  durableRevision: 'own',
  storage: 'own',
  compaction: 'own',
  put: 'own',
  delete: 'call',
  txn: 'own',
  compare: 'own',
  watch: 'own',
  grantLease: 'call',
  revokeLease: 'call',
  keepAlive: 'call',
  lease: 'call',
  leaseKeys: 'call',
  leases: 'call',
  snapshot: 'own',
  compact: 'own',
  setAutoCompaction: 'call',
  setQuota: 'call',
  shrink: 'call',
  hashKv: 'call',
  status: 'call',
  pages: 'call',
  check: 'call',
  flush: 'call',
  checkpoint: 'call',
  export: 'own',
  dryRun: 'call',
  revisionAt: 'call',
  timeOf: 'call',
  pin: 'call',
  unpin: 'call',
  pins: 'call',
  setRetention: 'call',
  setThinning: 'call',
  close: 'own',
}

/**
 * What changes nothing, so that it can be asked again of another leader when an answer is lost. `check` is not among them: it takes long,
 * and what has made one leader hang is not to make the next one hang, too. Nor is `flush`: a new leader can't make durable what the lost
 * one had not.
 */
export const REPEATABLE: ReadonlySet<string> = new Set([
  'get',
  'getEntry',
  'count',
  'lease',
  'leaseKeys',
  'leases',
  'hashKv',
  'status',
  'dryRun',
  'revisionAt',
  'timeOf',
  'pins',
  'close',
  // Of what is iterated, watched and awaited.
  ...['range', 'keys', 'history', 'diff'].map(method => `collect ${method}`),
  'batch',
  'next',
  'revision',
  'progress',
])
