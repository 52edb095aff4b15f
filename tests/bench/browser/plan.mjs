// What is run in the browser, what its rows are called, and the targets.

export const sizes = {
  full: { keys: 100_000, gets: 20_000, commits: 200, bytes: 100_000_000, revisions: 1_000_000 },
  quick: { keys: 10_000, gets: 5000, commits: 50, bytes: 10_000_000, revisions: 100_000 },
  smoke: { keys: 1000, gets: 500, commits: 5, bytes: 200_000, revisions: 5000 },
}

export const ours = ['ours opfs', 'ours indexeddb']
export const peers = ['idb', 'dexie', 'browser-level', 'sqlite sahpool']

export const peerNotes = {
  idb: 'idb 8: one transaction of IndexedDB a batch, relaxed; a get is a transaction',
  dexie: 'Dexie 4: `bulkPut` a batch, relaxed; `get`',
  'browser-level':
    'browser-level 3 over IndexedDB: `batch`, with the durability that the browser takes by itself',
  'sqlite sahpool':
    'SQLite in WebAssembly, opfs-sahpool, prepared statements, a transaction a batch, synchronous = OFF',
}

/** The page's rows have names of their own: there the engine is behind messages, and so is what others do in IndexedDB. */
const IN_PAGE = { get_awaited_per_s: 'page_get_per_s', batched_put_per_s: 'page_batched_put_per_s' }

/**
 * The jobs of one round, those of all engines in turn: what is measured goes to `column`, under the names in `names` where it has one.
 * @param {typeof sizes.full} size
 * @param {number} round
 */
export function jobs(size, round) {
  const { keys, gets, commits, bytes, revisions } = size
  const name = what => `${what}-${round}`
  const load = (engine, thread) => ({
    column: engine,
    thread,
    job: 'loadAndGet',
    options: { engine, name: name(`load-${thread}-${engine.replace(' ', '-')}`), keys, gets },
    names: thread === 'page' ? IN_PAGE : { batched_put_per_s: true, get_in_thread_per_s: true },
  })
  const inWorker = (column, job, options) => ({ column, thread: 'worker', job, options })
  return [
    ...[...ours, ...peers].map(engine => load(engine, 'worker')),
    // SQLite's pool of files is for workers only.
    ...[...ours, ...peers.slice(0, 3)].map(engine => load(engine, 'page')),
    inWorker('ours opfs', 'strictPuts', { storage: 'opfs', name: name('strict'), commits }),
    inWorker('ours indexeddb', 'strictPuts', { storage: 'indexeddb', name: name('strict'), commits }),
    inWorker('raw opfs', 'rawOpfs', { name: name('raw'), commits }),
    inWorker('raw indexeddb', 'rawStrict', { name: name('raw'), commits }),
    inWorker('ours opfs', 'openLarge', { storage: 'opfs', name: 'large', bytes }),
    ...(round > 1
      ? []
      : [{ column: 'ours memory', thread: 'page', job: 'compactWhileAnimating', options: { revisions } }]),
  ]
}

const rate = (label, metric) => ({ label, metric, unit: '/s', better: 'more' })
const time = (label, metric) => ({ label, metric, unit: 'ms', better: 'less' })

/** What is compared between engines. */
export const rows = [
  rate('puts in batches of 1,000, relaxed', 'batched_put_per_s'),
  rate('gets in the thread of the engine', 'get_in_thread_per_s'),
  rate('puts in batches from a page', 'page_batched_put_per_s'),
  rate('gets awaited one by one in a page', 'page_get_per_s'),
  time('one strict commit', 'strict_put_ms'),
  time('opening a large store', 'open_ms'),
  { label: '  its file', metric: 'opened_bytes', unit: 'B', better: 'less' },
]

const count = (label, metric) => ({ label, metric, unit: '', better: 'less' })

/** The page that animates while a store in memory is compacted in its own thread. */
export const frameRows = [
  time('compaction of nine tenths', 'compaction_ms'),
  time('  longest step of the engine', 'compaction_longest_step_ms'),
  count('  frames of the page', 'compacting_frames'),
  count('  frames missed', 'compacting_missed_frames'),
  time('  longest time between two frames', 'compacting_longest_frame_ms'),
  count('  tasks of more than 50 ms', 'compacting_long_tasks'),
  count('without it: frames of the page', 'idle_frames'),
  count('  frames missed', 'idle_missed_frames'),
  time('  longest time between two frames', 'idle_longest_frame_ms'),
]

/** The best of the peers becomes a column, so that a target can be a ratio to it. */
export function withBest(summary) {
  const best = {}
  for (const { metric, better } of rows) {
    const of = peers.map(peer => summary[peer]?.[metric]).filter(figure => figure !== undefined)
    const order = better === 'more' ? (a, b) => b.median - a.median : (a, b) => a.median - b.median
    if (of.length > 0) best[metric] = of.sort(order)[0]
  }
  return { ...summary, 'best peer': best }
}

const ratio = (label, metric, [column, least]) => ({
  label,
  metric,
  column,
  over: metric,
  overColumn: 'best peer',
  is: 'least',
  bound: least,
  unit: 'x',
})
const atMost = (label, metric, [column, bound]) => ({ label, metric, column, is: 'most', bound, unit: 'ms' })

export const targets = [
  ratio('batched puts on OPFS, against the best', 'batched_put_per_s', ['ours opfs', 5]),
  ratio('batched puts on IndexedDB, against the best', 'batched_put_per_s', ['ours indexeddb', 5]),
  ratio("gets in the engine's thread, against the best", 'get_in_thread_per_s', ['ours opfs', 10]),
  ratio('awaited gets from a page, against the best', 'page_get_per_s', ['ours opfs', 1]),
  atMost('one strict commit on OPFS', 'strict_put_ms', ['ours opfs', 0.5]),
  {
    ...atMost('one strict commit on OPFS, against writing and syncing 4 KiB', 'strict_put_ms', [
      'ours opfs',
      1.5,
    ]),
    over: 'strict_put_ms',
    overColumn: 'raw opfs',
    unit: 'x',
  },
  {
    ...atMost('one strict commit on IndexedDB, against a raw one', 'strict_put_ms', ['ours indexeddb', 1.5]),
    over: 'strict_put_ms',
    overColumn: 'raw indexeddb',
    unit: 'x',
  },
  atMost('opening a store of 100 MB on OPFS', 'open_ms', ['ours opfs', 1000]),
  atMost("longest step while a page's store is compacted", 'compaction_longest_step_ms', ['ours memory', 10]),
]
