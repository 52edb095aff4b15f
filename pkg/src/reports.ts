import type { RawDamage, RawEtcdReport, RawExamined, RawLost, RawSalvaged } from './engine.js'

/** Lines of a list that people are shown. */
const SHOWN = 20

/** Whether nothing is known to be missing from what was saved. */
export function isComplete({ lost, unconfirmedLeaves, renumbered }: RawSalvaged): boolean {
  return lost.length === 0 && unconfirmedLeaves === 0 && renumbered === 0
}

/** A copy for JSON: keys that are no text become an object with their bytes in base 16, and what is `undefined` is left out. */
export function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return text(value) ?? { hex: hex(value) }
  if (Array.isArray(value)) return value.map(plain)
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, plain(inner)]))
}

function text(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return undefined
  }
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, byte => byte.toString(16).padStart(2, '0')).join('')
}

function grouped(number: number): string {
  return number.toLocaleString('en-US')
}

/** `1 page`, `2 pages`, `1,000 pages`. */
function count(number: number, one: string): string {
  return `${grouped(number)} ${one}${number === 1 ? '' : 's'}`
}

/** The first lines of a list, and how many more there are. */
function listed<T>(items: readonly T[], more: number, line: (item: T) => string): string[] {
  const lines = items.slice(0, SHOWN).map(item => `  ${line(item)}`)
  const rest = items.length - lines.length + more
  return rest > 0 ? [...lines, `  and ${grouped(rest)} more`] : lines
}

function damageLine({ page, kind, what }: RawDamage): string {
  return `page ${page} (${kind}): ${what}`
}

function contents({ revision, compacted, keys, records }: Partial<RawExamined>): string {
  const past = compacted === undefined ? '' : `, compacted to ${compacted}`
  const held = records === undefined ? '' : `, ${count(records, 'record')}`
  return `  revision ${revision}${past}, ${count(keys ?? 0, 'key')}${held}`
}

/** What `check` tells people. */
export function checkText(file: string, found: RawExamined): string {
  const { sound, damage, moreDamage, pages, pageBytes } = found
  const size = `  ${count(pages, 'page')} of ${pageBytes} bytes`
  const list = listed(damage, moreDamage, damageLine)
  const lines = sound
    ? [`${file} is sound`, contents(found), size]
    : [`${file} is damaged: ${count(damage.length + moreDamage, 'page')}`, ...list, size]
  if (sound && list.length > 0) lines.push('  harmless, and written anew by the next checkpoint:', ...list)
  if (!sound) {
    lines.push(
      'Nothing was changed. What can still be read is written to a new store by',
      `  palimpsest salvage ${file} OUT`,
    )
  }
  return `${lines.join('\n')}\n`
}

function lostLine({ key, revision, fromRevision, toRevision, what }: RawLost): string {
  const name = key && (JSON.stringify(text(key)) ?? `0x${hex(key)}`)
  if (name !== undefined) return `${name} of revision ${revision}: ${what}`
  if (fromRevision === undefined) return `leases, pins and times as of the last checkpoint: ${what}`
  return fromRevision === toRevision
    ? `some of revision ${fromRevision}: ${what}`
    : `some of revisions ${fromRevision} to ${toRevision}: ${what}`
}

/** The leases and pins of a store, if it has any. */
function held({ leases, pins }: { leases: number; pins: number }): string {
  const counts = [leases > 0 ? count(leases, 'lease') : '', pins > 0 ? count(pins, 'pin') : '']
  return counts.map(text => text && `, ${text}`).join('')
}

/** What `salvage` tells people. */
export function salvageText({ file, out }: { file: string; out: string }, saved: RawSalvaged): string {
  const lines = [
    `${out} has ${isComplete(saved) ? 'all' : 'what could be read'} of ${file}`,
    contents({ ...saved, records: saved.recordsSaved }) + held(saved),
  ]
  if (saved.damagedPages > 0) {
    lines.push(`${count(saved.damagedPages, 'page')} of ${grouped(saved.pagesRead)} damaged`)
    lines.push(...listed(saved.damage, saved.moreDamage, damageLine))
  }
  if (saved.lost.length > 0) {
    lines.push(`missing: ${count(saved.recordsLost, 'record')} that are known of`)
    lines.push(...listed(saved.lost, saved.moreLost, lostLine))
    lines.push('An older value of a key may stand where the newest is missing.')
  }
  if (saved.renumbered > 0)
    lines.push(
      `${count(saved.renumbered, 'record')} got new versions, since the beginning of their history is missing`,
    )
  if (saved.unconfirmedLeaves > 0) {
    const pages = count(saved.unconfirmedLeaves, 'page')
    lines.push(`${pages} may hold what a compaction had removed: the map that would tell is damaged`)
  }
  return `${lines.join('\n')}\n`
}

/** What people are told of a file that was read without a lock. */
export function lockText(file: string, isLocked: boolean): string {
  if (isLocked) return ''
  return `No lock could be written beside ${file}: this holds only if no program had it open meanwhile.\n`
}

/** What is told of a store that was exported or imported. */
export interface Copied {
  readonly bytes?: number
  readonly revision: number
  readonly compacted: number | undefined
  readonly keys: number
  readonly records: number
  readonly leases: number
}

function copiedLines(headline: string, done: Copied): string[] {
  const leases = done.leases === 0 ? '' : `, ${count(done.leases, 'lease')}`
  return [headline, `${contents({ ...done, compacted: done.compacted })}${leases}`]
}

/** What `export` and `import` tell people. */
export function copiedText(headline: string, done: Copied): string {
  return `${copiedLines(headline, done).join('\n')}\n`
}

/** What `import-etcd` tells people. */
export function etcdText(headline: string, done: Copied & RawEtcdReport): string {
  const lines = copiedLines(headline, { ...done, leases: done.leases + done.missingLeases })
  if (done.missingLeases > 0)
    lines.push(
      `${count(done.missingLeases, 'lease')} that keys are attached to had ended; they were granted anew for the longest time there is`,
    )
  if (done.marks > 0)
    lines.push(
      `${count(done.marks, 'record')} without a key left out, which mark what a restore has compacted`,
    )
  return `${lines.join('\n')}\n`
}
