// Prints the results as plain tables.

const SCALES = [
  [1e9, 'G'],
  [1e6, 'M'],
  [1e3, 'k'],
]

function short(value) {
  const [by, sign] = SCALES.find(([scale]) => Math.abs(value) >= scale) ?? [1, '']
  const scaled = value / by
  const digits =
    Math.abs(scaled) >= 100 ? 0 : Math.abs(scaled) >= 10 ? 1 : Math.abs(scaled) >= 0.1 || scaled === 0 ? 2 : 4
  return `${scaled.toFixed(digits)}${sign}`
}

/** Times in the unit that fits, everything else with thousands, millions and milliards for short. */
const NANOSECONDS = { ns: 1, us: 1e3, ms: 1e6 }
const TIMES = [
  [1e9, 's'],
  [1e6, 'ms'],
  [1e3, 'us'],
  [1, 'ns'],
]

function amount(value, unit) {
  if (!(unit in NANOSECONDS))
    return `${short(value)}${unit === 'B' ? `${/\d$/.test(short(value)) ? ' ' : ''}B` : unit}`
  const time = value * NANOSECONDS[unit]
  const [by, name] = TIMES.find(([scale]) => time >= scale) ?? TIMES.at(-1)
  return `${short(time / by)} ${name}`
}

function cell(figure, unit) {
  if (!figure) return '-'
  const spread = figure.runs > 1 ? ` (${amount(figure.min, unit)}..${amount(figure.max, unit)})` : ''
  return amount(figure.median, unit) + spread
}

function table(head, lines) {
  const all = [head, ...lines]
  const widths = head.map((_, column) => Math.max(...all.map(line => line[column].length)))
  const row = line =>
    line
      .map((text, column) => text.padEnd(widths[column]))
      .join('  ')
      .trimEnd()
  return [row(head), widths.map(width => '-'.repeat(width)).join('  '), ...lines.map(row)].join('\n')
}

/** Every row that some column has, with the median and the span of each. */
export function comparison(summary, rows, columns) {
  const seen = rows.filter(({ metric }) => columns.some(column => summary[column]?.[metric]))
  const lines = seen.map(({ label, metric, unit }) => [
    label,
    ...columns.map(column => cell(summary[column]?.[metric], unit)),
  ])
  return table(['median (min..max)', ...columns], lines)
}

/** How many times better than each peer: in memory, then in a file. */
export function ratioTable(ratios, rows, { ours, peers }) {
  const lines = []
  for (const { label, metric } of rows) {
    const of = ratios[metric]
    if (!of) continue
    const times = peer =>
      ours
        .map(column => of[column]?.[peer])
        .map(x => (x ? `${short(x)}x` : '-'))
        .join(' / ')
    lines.push([label, ...peers.map(times)])
  }
  return table([`times better (${ours.join(' / ')})`, ...peers], lines)
}

const shout = verdict => (verdict === 'missed' ? 'MISSED' : verdict)

/** The targets, those missed in capitals. */
export function targetTable(judged) {
  const lines = judged.map(target => [
    shout(target.verdict),
    target.label,
    `${target.is === 'least' ? '>=' : '<='} ${amount(target.bound, target.unit)}`,
    target.verdict === 'not measured' ? '-' : cell(target, target.unit),
    target.etcd
      ? `${short(target.etcd.reached)}x, asked ${short(target.etcd.asked)}x: ${shout(target.etcd.verdict)}`
      : '-',
  ])
  return table(['', 'target', 'bound', 'median (min..max)', 'times better than etcd beside it'], lines)
}
