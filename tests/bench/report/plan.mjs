// What is run for each engine, and under which names its measurements are filed.

/** Sizes of a run: the full one is what the project's targets are about. */
export const sizes = {
  full: { keys: 100_000, puts: 1_000_000, kept: [100_000, 200_000, 500_000, 1_000_000, 2_000_000] },
  quick: { keys: 10_000, puts: 100_000, kept: [20_000, 50_000, 200_000] },
}

/** The engines in the order in which they take their turns. */
export const engines = ['native', 'npm', 'etcd', 'redb', 'fjall', 'lmdb']

/** What a peer is, and what it lacks, said beside its figures. */
export const peerNotes = {
  etcd: "etcd 3.4's mvcc store in process, on bbolt, synced every 10,000 puts or 100 ms; its compaction always pauses 10 ms after 1,000 revisions",
  redb: 'redb keeps no history: one record a key, nothing to read in the past, nothing to compact',
  fjall:
    'fjall keeps no history that can be read: a merge tree, compressed, that drops old versions as it merges',
  lmdb: 'LMDB keeps no history: one record a key; it reads from a memory map',
}

const deadShares = [
  ['compact_90', ({ puts }) => puts / 10],
  ['compact_10', ({ puts }) => (puts / 10) * 9],
  ['compact_01', ({ puts }) => (puts / 1000) * 999],
]

/**
 * The jobs of one engine: `program` with `args`, whose measurements go to `column` under each of `prefixes`.
 * @param {string} engine
 * @param {{ keys: number, puts: number, kept: number[] }} size
 * @param {string} folder where files are made
 */
export function jobs(engine, size, folder) {
  const serving = [size.keys, size.puts]
  const job = (column, program, args, prefixes = ['']) => ({
    column,
    program,
    args: args.map(String),
    prefixes,
  })
  // 150,000 keys ten times over make a file of 250 MB, of which 90% is free after a compaction.
  const free = [size.keys * 1.5, size.puts * 1.5]
  const compactions = deadShares.map(([name, keys]) => [name, [keys(size), size.puts]])
  switch (engine) {
    case 'native':
      return [
        job('machine', 'native', ['machine']),
        job('memory', 'native', ['serving', 'memory', ...serving]),
        job('file', 'native', ['serving', folder, ...serving]),
        job('file', 'native', ['durable', folder, ...serving]),
        ...compactions.map(([name, load]) =>
          job('memory', 'native', ['compaction', 'memory', ...load, 'unpaced'], [`${name}.`]),
        ),
        ...compactions.map(([name, load]) =>
          job('memory', 'native', ['compaction', 'memory', ...load, 'default'], [`${name}_paced.`]),
        ),
        ...compactions
          .slice(0, 1)
          .map(([name, load]) =>
            job('file', 'native', ['compaction', folder, ...load, 'unpaced'], [`${name}.`]),
          ),
        job('file', 'native', ['shrinking', folder, ...free]),
        job('file', 'native', ['churn', folder, ...serving, size.keys]),
        job('memory', 'native', ['garbage', ...size.kept]),
        job('memory', 'native', ['pinned', ...serving]),
        job('memory', 'native', ['watching', ...serving]),
        job('memory', 'native', ['leasing', size.keys]),
        job('memory', 'heap', [folder, ...serving]),
        job('simulator', 'simulate', ['--every', '--threads', '1', '--runs', '60', '--figures']),
      ]
    case 'etcd':
      return [
        job('etcd', 'etcd', ['serving', folder, ...serving]),
        job('etcd', 'etcd', ['shrinking', folder, ...free]),
        // It has one pace: the same figure stands beside our fastest and beside our default.
        ...compactions.map(([name, load], i) =>
          job(
            'etcd',
            'etcd',
            ['compaction', folder, ...load, i === 0 ? 'loaded' : 'quiet'],
            [`${name}.`, `${name}_paced.`],
          ),
        ),
      ]
    case 'npm':
      // It takes the medians of its own rounds.
      return [{ ...job('npm', 'npm', []), once: true }]
    default:
      return [job(engine, 'peers', [engine, folder, ...serving])]
  }
}
