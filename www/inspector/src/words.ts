/** What the store says, and what goes wrong, in words that need no manual. */
import type { ErrorCode, Holder, PalimpsestError, Status } from 'palimpsest-kv'
import { count, counted, size } from './format.js'

/** Something that went wrong: what, and what can be done about it. */
export interface Trouble {
  readonly title: string
  readonly advice: string
  /** The error's own words. */
  readonly detail: string
  /** The error's code, if it has one. */
  readonly code: ErrorCode | undefined
}

type Words = Pick<Trouble, 'title' | 'advice'>

const BY_CODE: Partial<Record<ErrorCode, Words>> = {
  LOCKED: {
    title: 'This store is taken',
    advice:
      'Tabs share a store, but a worker that has it in its own thread keeps it for itself. Close it there, then try again.',
  },
  LEADER_LOST: {
    title: 'The tab that ran the engine is gone',
    advice: 'Another tab has taken over. Whether this was done is not known: look before you do it again.',
  },
  CORRUPT: {
    title: 'This store is damaged',
    advice:
      'Nothing was changed. “npx palimpsest check FILE” lists all damage of a file; “npx palimpsest salvage FILE OUT” saves what can still be read to a new one.',
  },
  NOT_A_STORE: {
    title: 'This is not a Palimpsest store',
    advice: 'Nothing was changed. A store’s file usually ends in .plm.',
  },
  NEWER_FORMAT: {
    title: 'This store was written by a newer version',
    advice: 'Nothing was changed. A newer version of this page can open it.',
  },
  NO_SPACE: {
    title: 'The quota that was set for this store is used up',
    advice:
      'Reading, deleting and compacting go on. Delete keys and compact, or raise the quota; then writing works again by itself.',
  },
  STORAGE: {
    title: 'The browser could not read or write the store',
    advice:
      'What was saved before is safe. If the disk or the browser’s room for this site is full, make room; then load the page again.',
  },
  WRITES_REFUSED: {
    title: 'Writing has stopped after a failure of the storage',
    advice: 'Reading goes on. Load the page again to write.',
  },
  UNSUPPORTED: {
    title: 'This browser can’t do that here',
    advice:
      'In a private window, or a page that is not served securely, a browser may refuse to store anything.',
  },
  COMPACTED: {
    title: 'That revision is forgotten',
    advice: 'A compaction has given up this part of the history. Choose a later revision.',
  },
  FUTURE_REVISION: { title: 'That revision is not written yet', advice: 'Choose an earlier one.' },
  POISONED: { title: 'The engine has stopped', advice: 'What was saved is safe. Load the page again.' },
  CLOSED: { title: 'The store is closed', advice: 'Load the page again to open it.' },
  EMPTY_KEY: { title: 'A key needs at least one character', advice: 'Type a key.' },
  DUPLICATE_KEY: {
    title: 'A transaction can change each key once only',
    advice: 'Say each key once: a put or a delete.',
  },
  VALUE_TOO_LARGE: { title: 'The value is too large', advice: 'It may have at most 1.5 MiB.' },
  KEY_TOO_LARGE: { title: 'The key is too long', advice: 'It may have at most 64 KiB.' },
  PIN_NAME_RESERVED: {
    title: 'Names that begin with $ belong to the store',
    advice: 'Choose another name for the pin.',
  },
  EMPTY_PIN_NAME: { title: 'A pin needs a name', advice: 'Type one.' },
}

/** An error in words. */
export function troubleOf(error: unknown): Trouble {
  const { code, message } = error as Partial<PalimpsestError>
  const known = code === undefined ? undefined : BY_CODE[code]
  const words = known ?? { title: 'That did not work', advice: 'The details below say why.' }
  return { ...words, detail: message ?? String(error), code }
}

function holderWords(holder: Exclude<Holder, { kind: 'snapshot' }>): string {
  switch (holder.kind) {
    case 'pin':
      return `The pin “${holder.name}” keeps revision ${count(holder.revision)} readable: ${counted(holder.records, 'dead record stays', 'dead records stay')} for it so far.`
    case 'watch':
      return `A watch that holds has got to revision ${count(holder.revision)}; compaction waits there.`
  }
}

/** Snapshots in one sentence: the oldest one holds all that the others hold. */
function snapshotWords(holders: readonly Holder[]): string[] {
  const snapshots = holders.filter(holder => holder.kind === 'snapshot')
  if (snapshots.length === 0) return []
  const number = snapshots.reduce((sum, snapshot) => sum + snapshot.count, 0)
  const pages = Math.max(...snapshots.map(snapshot => snapshot.pages))
  const who = number === 1 ? 'One snapshot holds' : `${count(number)} snapshots hold`
  return [`${who} back ${counted(pages, 'page')}.`]
}

/** Pages of a status, as the status has bytes of them. */
export function pagesOf(bytes: number, { pageBytes }: Pick<Status, 'pageBytes'>): number {
  return Math.floor(bytes / pageBytes)
}

/** How the store stands, in sentences. */
export function statusWords(status: Status): string[] {
  const { revision, compacted, liveKeys, records, deadRecords, fileBytes } = status
  const used = pagesOf(status.usedBytes, status) - status.pendingPages
  const oldest =
    compacted === undefined
      ? 'All of its history can be read'
      : `History before revision ${count(compacted)} is forgotten`
  const said = [
    `${counted(liveKeys, 'key')} at revision ${count(revision)}. ${oldest}.`,
    `${counted(records, 'record')}, of which newer ones have replaced ${count(deadRecords)}: only the past needs those.`,
    `The file has ${size(fileBytes)}: ${counted(used, 'page')} in use, ${count(status.pendingPages)} waiting to be free, ${count(status.freePages)} free.`,
    ...snapshotWords(status.holders),
    ...status.holders.filter(holder => holder.kind !== 'snapshot').map(holderWords),
  ]
  if (status.isCompacting) said.push('Compacting now.')
  if (status.isShrinking) said.push('Making the file shorter now.')
  if (status.isOutOfSpace) said.push('The quota is used up: writes are refused until there is room again.')
  return said
}
