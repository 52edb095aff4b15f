// Which tests are not run in a browser, by file, and why. `A > b` is the part b of the test A. A name that no test has makes the run
// fail, so that this list does not outlive what it is about.

/** Tests of Node's own: its files and processes, what its test runner counts, timers as fine as its own. */
const NODE = {
  'watch.test.mjs': [
    'a long history is caught up with in pieces, and the event loop turns meanwhile',
    'nothing is read before it is asked for, and a slow consumer misses nothing',
    'ten thousand watches, of which a put concerns one',
    'a watch does not keep a program alive, unless there is something to tell it',
  ],
  'lease.test.mjs': ['a granted lease is durable when that is said', 'a lease does not keep a program alive'],
  'errors.test.mjs': [
    { file: '' },
    { file: 5 },
    { file: 'a\0b' },
    { file: new URL('http://localhost/x') },
    { file: 'x', mode: 5 },
  ].map(storage => `bad options of open are refused by name > ${JSON.stringify({ storage })}`),
  'durability.test.mjs': ['a program ends only after its strict writes are acknowledged'],
  'copies.test.mjs': [
    'a backup goes to a file and comes back from it',
    'a snapshot of etcd has its history',
    'a snapshot without a hash, or with another one',
    'an import of a snapshot refuses what it does not know',
    'a file that could not be imported into can be used afterwards',
  ],
}

/** Tests of what outlives its store's closing. */
const PERSISTENT = {
  'watch.test.mjs': ['a relaxed store tells at once, and a watch goes on where another ended'],
  'pins.test.mjs': ['pins move, end, and outlive the program'],
  'lease.test.mjs': ['leases outlive their store’s closing, and time that is over stays over'],
  'durability.test.mjs': ['strict puts in a file', 'relaxed transactions', 'relaxed deletes'].map(
    what => `a chain of awaited ${what} lets the program run`,
  ),
}

/** Tests of what memory is, or of times that it alone keeps. */
const MEMORY = {
  'compaction.test.mjs': ['no step of the background work holds the event loop for long'],
  'api.test.mjs': [
    'a store in memory says that it is',
    'the memory of a store grows far without a stop, and views on it are renewed',
  ],
  'options.test.mjs': [
    'automatic compaction is asked for, changed and switched off',
    'bounds hold over many batches',
  ],
  'durability.test.mjs': ['in memory every write is acknowledged at once and counts as durable'],
}

/** Tests that read at once in the engine's thread, are told at once what only the engine can know, or take a message for each of many steps. */
const SAME_THREAD = {
  'watch.test.mjs': ['refused: (db) => db.watch({ from: "b", to: "a" })'],
  'errors.test.mjs': [
    'bad input is refused and changes nothing > an empty key is read at once',
    'bad input is refused and changes nothing > a future range',
    'what is closed is closed',
  ],
  'options.test.mjs': ['refused: (db) => db.rangeSync({ keysOnly: 1 })'],
}

/** Tests of what is told before it is durable; where that takes its time, more has happened by then. */
const AT_ONCE = {
  'compaction.test.mjs': ['compact answers at once, the job runs by itself, and the newest values stay'],
}

/** Tests of what is durable when a write is answered. */
const STRICT = {
  'api.test.mjs': [
    'a new store is at revision 1 and each write makes the next',
    'a status and a check of the whole store',
  ],
}

/** The tests that are left out in a thread for stores in a storage. */
export function leftOut({ thread, storage, durability }) {
  const lists = [NODE, storage === 'memory' ? PERSISTENT : MEMORY]
  if (thread === 'page' && storage !== 'memory') lists.push(SAME_THREAD)
  if (storage === 'indexeddb') lists.push(AT_ONCE)
  if (durability === 'relaxed') lists.push(STRICT)
  const all = {}
  for (const list of lists)
    for (const [file, names] of Object.entries(list)) all[file] = [...(all[file] ?? []), ...names]
  return all
}
