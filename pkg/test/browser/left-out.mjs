// Which tests are not run in a browser, by file, and why. A name that no test has makes the run fail.

/** Tests of Node's own: files, processes, its module system. */
const NODE = {}

/** Tests that read in the thread of the engine, at once. */
const SYNC = {}

/** The tests that are left out in a thread for stores in a storage. */
export function leftOut(thread, storage) {
  const lists = [NODE]
  if (thread === 'page' && storage !== 'memory') lists.push(SYNC)
  const all = {}
  for (const list of lists) for (const [file, names] of Object.entries(list)) all[file] = [...(all[file] ?? []), ...names]
  return all
}
