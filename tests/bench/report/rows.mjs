// The rows of the comparison and the targets: which measurement, in which unit, and which way is better.

const rate = (label, metric) => ({ label, metric, unit: '/s', better: 'more' })
const time = (label, metric, unit = 'ms') => ({ label, metric, unit, better: 'less' })
const bytes = (label, metric) => ({ label, metric, unit: 'B', better: 'less' })

const compactionRows = (name, share) => [
  time(`compaction, ${share} dead, no pauses`, `${name}.total_ms`),
  rate('  records removed', `${name}.records_per_s`),
  time('  longest step, 2 ms budget', `${name}.longest_step_ms`),
  time('  longest step on the processor', `${name}.longest_step_on_cpu_ms`),
  time('  99% of the steps within', `${name}.step_p99_ms`),
  time('  the call itself', `${name}.compact_call_us`, 'us'),
  bytes('  bytes in use after it', `${name}.used_bytes_after`),
]

const pacedRows = (name, share) => [
  time(`compaction, ${share} dead, default pauses`, `${name}_paced.total_ms`),
  time('  longest step', `${name}_paced.longest_step_ms`),
  time('  longest step on the processor', `${name}_paced.longest_step_on_cpu_ms`),
  time('  get beside it, median', `${name}_paced.get_p50_us`, 'us'),
  time('  get beside it, slowest', `${name}_paced.get_slowest_us`, 'us'),
  time('  put beside it, median', `${name}_paced.put_p50_us`, 'us'),
  time('  put beside it, slowest', `${name}_paced.put_slowest_us`, 'us'),
]

/** What is compared between engines. */
export const rows = [
  rate('put, one a transaction', 'put_per_s'),
  time('longest step while loading', 'load_longest_step_ms'),
  rate('get at head', 'get_head_per_s'),
  rate('get in the past', 'get_past_per_s'),
  rate('get in the past, a view each', 'get_past_new_view_per_s'),
  rate('range of 1000 at head', 'range_head_per_s'),
  rate('  records of it', 'range_head_records_per_s'),
  rate('range of 1000 in the past', 'range_past_per_s'),
  rate('  records of it', 'range_past_records_per_s'),
  rate('range of 1000 at head, collected', 'range_head_collected_per_s'),
  rate('range of 1000 in the past, coll.', 'range_past_collected_per_s'),
  rate('range of 1000 at head, keys only', 'range_head_keys_only_per_s'),
  rate('limit 1000 on an open range', 'limit_open_range_per_s'),
  time('count of all keys', 'count_all_ms'),
  rate('durable put, one by one', 'durable_put_per_s'),
  { label: '  of what the disk allows', metric: 'durable_put_of_bound', unit: 'x', better: 'more' },
  rate('durable put, batches of 100', 'durable_batch_put_per_s'),
  { label: '  syncs of what the disk allows', metric: 'durable_batch_of_bound', unit: 'x', better: 'more' },
  time('snapshot taken and dropped', 'snapshot_ns', 'ns'),
  rate('put, a new snapshot held each', 'put_under_snapshot_per_s'),
  bytes('file after loading', 'file_bytes'),
  time('reopening it', 'reopen_ms'),
  ...compactionRows('compact_90', '90%'),
  ...compactionRows('compact_10', '10%'),
  ...compactionRows('compact_01', '0.1%'),
  ...pacedRows('compact_90', '90%'),
  ...pacedRows('compact_10', '10%'),
  ...pacedRows('compact_01', '0.1%'),
  time('shrinking of a file that is 90% free', 'shrink_total_ms'),
  time('  longest step', 'shrink_longest_step_ms'),
  time('  longest step on the processor', 'shrink_longest_step_on_cpu_ms'),
  time('  get beside it, slowest', 'shrink_get_slowest_us', 'us'),
  time('  put beside it, slowest', 'shrink_put_slowest_us', 'us'),
  bytes('  file after it', 'shrink_file_bytes_after'),
  rate('put, for ever, 100,000 revisions kept', 'churn_put_per_s'),
  {
    label: '  file at most, of what is kept',
    metric: 'churn_file_per_kept_bytes_at_most',
    unit: 'x',
    better: 'less',
  },
  { label: 'compaction around one pin, against none', metric: 'pins_one_times', unit: 'x', better: 'less' },
  { label: '  around 1,000 next to each other', metric: 'pins_together_times', unit: 'x', better: 'less' },
  { label: '  around 1,000 of all over', metric: 'pins_spread_times', unit: 'x', better: 'less' },
  {
    label: '10,000 dead in groups, largest store to smallest',
    metric: 'dead_grouped_times_at_most',
    unit: 'x',
    better: 'less',
  },
  {
    label: '  only to look their keys up, one by one',
    metric: 'dead_looked_up_times_at_most',
    unit: 'x',
    better: 'less',
  },
  {
    label: 'put with 1,000 watchers, one matches',
    metric: 'put_with_1000_watchers_times',
    unit: 'x',
    better: 'less',
  },
  {
    label: 'put with 10,000 watchers, one matches',
    metric: 'put_with_10000_watchers_times',
    unit: 'x',
    better: 'less',
  },
  rate('changes told to a watcher from the past', 'watch_catch_up_per_s'),
  time('  slowest poll', 'watch_slowest_poll_us', 'us'),
  time('leases that end at once, one key each', 'lease_expiry_ms'),
  time('  longest step, 2 ms budget', 'lease_expiry_longest_step_ms'),
  time('  longest step on the processor', 'lease_expiry_longest_step_on_cpu_ms'),
  bytes('heap a key, beyond its bytes', 'heap_per_key'),
  bytes('heap a further revision', 'heap_per_further_revision'),
]

const atLeast = (bound, unit) => ({ column: 'memory', bound, unit, is: 'least' })
const atMost = (bound, unit) => ({ column: 'memory', bound, unit, is: 'most' })
const inFile = { column: 'file' }

/** What etcd reached on the quiet machine that the targets were set by; it tells how far this one is from it. */
const etcdThen = {
  put_per_s: 203_743,
  get_head_per_s: 79_407,
  range_head_per_s: 646,
  range_past_per_s: 618,
  reopen_ms: 2_730,
}

/** Dependent loads on that machine, in ns. */
export const loadsThen = {
  dependent_load_32_kib_ns: 1.5,
  dependent_load_16_mib_ns: 20,
  dependent_load_256_mib_ns: 170,
}

/** What this project wants to reach. `over` names a measurement that the figure is divided by, of `overColumn` or its own. */
export const targets = [
  { label: 'put, one a transaction', metric: 'put_per_s', ...atLeast(700_000, '/s') },
  { label: 'get at head', metric: 'get_head_per_s', ...atLeast(1_000_000, '/s') },
  { label: 'get in the past, time against head', metric: 'get_past_per_head_time', ...atMost(1.5, 'x') },
  { label: 'range of 1000 at head', metric: 'range_head_per_s', ...atLeast(8_000, '/s') },
  { label: 'range of 1000 in the past', metric: 'range_past_per_s', ...atLeast(8_000, '/s') },
  { label: 'compaction of 90% dead, no pauses', metric: 'compact_90.total_ms', ...atMost(1_000, 'ms') },
  {
    label: 'compaction of 0.1% dead, against 90%',
    metric: 'compact_01.total_ms',
    over: 'compact_90.total_ms',
    ...atMost(0.01, 'x'),
  },
  { label: 'longest step of 90%, 2 ms budget', metric: 'compact_90.longest_step_ms', ...atMost(3, 'ms') },
  { label: 'longest step of 90%, file', metric: 'compact_90.longest_step_ms', ...atMost(3, 'ms'), ...inFile },
  {
    label: 'slowest get during a compaction of 90%',
    metric: 'compact_90_paced.get_slowest_us',
    ...atMost(4_000, 'us'),
  },
  {
    label: 'slowest put during a compaction of 90%',
    metric: 'compact_90_paced.put_slowest_us',
    ...atMost(4_000, 'us'),
  },
  {
    label: '10,000 dead together, largest store to smallest',
    metric: 'dead_together_times_at_most',
    ...atMost(1.3, 'x'),
  },
  {
    label: '10,000 dead scattered, largest to smallest',
    metric: 'dead_scattered_times_at_most',
    ...atMost(1.3, 'x'),
  },
  {
    label: 'compaction around 1,000 pins, against none',
    metric: 'pins_times_at_most',
    ...atMost(1.5, 'x'),
  },
  {
    label: 'file of a store written to for ever',
    metric: 'churn_file_per_kept_bytes_at_most',
    ...atMost(1.3, 'x'),
    ...inFile,
  },
  {
    label: 'slowest get while the file shrinks',
    metric: 'shrink_get_slowest_us',
    ...atMost(3_000, 'us'),
    ...inFile,
  },
  {
    label: 'slowest put while the file shrinks',
    metric: 'shrink_put_slowest_us',
    ...atMost(3_000, 'us'),
    ...inFile,
  },
  {
    label: "shrinking, against etcd's defragmentation",
    metric: 'shrink_total_ms',
    over: 'shrink_total_ms',
    overColumn: 'etcd',
    ...atMost(2, 'x'),
    ...inFile,
  },
  {
    label: 'put with 1,000 watchers, one matches',
    metric: 'put_with_1000_watchers_times',
    ...atMost(1.3, 'x'),
  },
  {
    label: 'changes told to a watcher from the past',
    metric: 'watch_catch_up_per_s',
    ...atLeast(2_000_000, '/s'),
  },
  {
    label: 'longest step, 100,000 leases end at once',
    metric: 'lease_expiry_longest_step_on_cpu_ms',
    ...atMost(3, 'ms'),
  },
  { label: 'snapshot', metric: 'snapshot_ns', ...atMost(1_000, 'ns') },
  { label: 'index and dead a key, beyond its bytes', metric: 'heap_per_key', ...atMost(80, 'B') },
  { label: 'index and dead a further revision', metric: 'heap_per_further_revision', ...atMost(24, 'B') },
  { label: 'file against payload', metric: 'file_per_payload', ...atMost(1.2, 'x'), ...inFile },
  { label: 'reopen, memory', metric: 'reopen_ms', ...atMost(800, 'ms') },
  { label: 'reopen, file', metric: 'reopen_ms', ...atMost(800, 'ms'), ...inFile },
  {
    label: 'durable put, of what the disk allows',
    metric: 'durable_put_of_bound',
    ...atLeast(0.9, 'x'),
    ...inFile,
  },
  {
    label: 'durable put in batches of 100',
    metric: 'durable_batch_put_per_s',
    ...atLeast(200_000, '/s'),
    ...inFile,
  },
  {
    label: 'durable put in batches of 100, against LMDB',
    metric: 'durable_batch_put_per_s',
    over: 'durable_batch_put_per_s',
    overColumn: 'lmdb',
    ...atLeast(6, 'x'),
    ...inFile,
  },
  {
    label: 'crashes simulated on one core',
    metric: 'crashes_per_s',
    ...atLeast(10_000, '/s'),
    column: 'simulator',
  },
  { label: 'npm: put', metric: 'put_us', ...atMost(1.5, 'us'), column: 'npm' },
  {
    label: 'npm: durable puts, 64 writers against one',
    metric: 'put_durable_64_times_faster',
    ...atLeast(20, 'x'),
    column: 'npm',
  },
  { label: 'npm: getSync', metric: 'get_sync_us', ...atMost(1, 'us'), column: 'npm' },
]

const isMet = ({ is }, value, bound) => (is === 'least' ? value >= bound : value <= bound)

/** The targets with what was measured: `met`, `missed` or `not measured`; in a full run beside etcd, against it too. */
export function judge(summary, isFull, list = targets) {
  return list.map(target => {
    const measured = summary[target.column]?.[target.metric]
    const divisor = target.over ? summary[target.overColumn ?? target.column]?.[target.over]?.median : 1
    if (!measured || !divisor) return { ...target, verdict: 'not measured' }
    const figure = {
      median: measured.median / divisor,
      min: measured.min / divisor,
      max: measured.max / divisor,
      runs: measured.runs,
    }
    const verdict = isMet(target, figure.median, target.bound) ? 'met' : 'missed'
    return { ...target, ...figure, verdict, ...(isFull && againstEtcd(summary, target, figure)) }
  })
}

/**
 * A machine disturbed by its neighbours slows etcd too: how many times better than etcd in the same run, and how many
 * times the target is better than etcd was when the target was set.
 */
function againstEtcd(summary, target, { median }) {
  const [then, now] = [etcdThen[target.metric], summary.etcd?.[target.metric]?.median]
  if (!then || !now) return {}
  const times = (value, reference) => (target.is === 'least' ? value / reference : reference / value)
  const [asked, reached] = [times(target.bound, then), times(median, now)]
  return { etcd: { asked, reached, verdict: reached >= asked ? 'met' : 'missed' } }
}

/** How many times better each of our columns is than each peer, by metric: 2 is twice as fast, or half as large. */
export function ratios(summary, ours, peers, compared = rows) {
  const answer = {}
  for (const { metric, better } of compared) {
    const median = column => summary[column]?.[metric]?.median
    for (const column of ours.filter(median)) {
      for (const peer of peers.filter(median)) {
        answer[metric] ??= {}
        answer[metric][column] ??= {}
        const faster = median(column) / median(peer)
        answer[metric][column][peer] = better === 'more' ? faster : 1 / faster
      }
    }
  }
  return answer
}
