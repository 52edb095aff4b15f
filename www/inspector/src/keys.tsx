/** The keys as of the revision that is shown, and the history of one of them. */
import { diffWordsWithSpace } from 'diff'
import type { Entry, Version } from 'palimpsest-kv'
import { useAnswer } from './answer.js'
import { bytesOf, textOf } from './bytes.js'
import { count, counted } from './format.js'
import { newest, oldest, status } from './live.js'
import { type Db, session } from './session.js'
import { key, search, show, shown } from './time.js'

/** Rows of the table. */
const ROWS = 200
/** Keys that are looked through for a part of them. */
const LOOKED_THROUGH = 20_000
/** Versions of a key that are shown. */
const VERSIONS = 100
/** Characters of a value in the table. */
const PREVIEW = 120

interface Found {
  readonly revision: number
  readonly entries: readonly Entry<'bytes', 'bytes'>[]
  readonly total: number
}

/** Keys that begin with a text. The store counts them all and reads the first. */
async function byPrefix(db: Db, revision: number, text: string): Promise<Found> {
  const selection = text === '' ? {} : { prefix: text }
  const { entries, count: total = 0 } = await db
    .range({ ...selection, revision, limit: ROWS, withCount: true })
    .collect()
  return { revision, entries, total }
}

/** Keys that contain a text: all keys are looked through, without their values. */
async function byPart(db: Db, revision: number, text: string): Promise<Found> {
  const keys = await db.keys({ revision, limit: LOOKED_THROUGH }).collect()
  const fitting = keys.entries.filter(found => textOf(found).includes(text))
  const entries = await Promise.all(fitting.slice(0, ROWS).map(found => db.getEntry(found, { revision })))
  return { revision, entries: entries.filter(entry => entry !== undefined), total: fitting.length }
}

function Row({ entry, isChosen }: { entry: Entry<'bytes', 'bytes'>; isChosen: boolean }) {
  const value = textOf(entry.value.subarray(0, PREVIEW * 4))
  return (
    <tr class={isChosen ? 'chosen' : ''}>
      <th scope="row">
        <button type="button" class="link" onClick={() => (key.value = entry.key)} aria-pressed={isChosen}>
          {textOf(entry.key)}
        </button>
      </th>
      <td class="value">{value.length > PREVIEW ? `${value.slice(0, PREVIEW)}…` : value}</td>
      <td class="number">{count(entry.modRevision)}</td>
      <td class="number">{count(entry.version)}</td>
    </tr>
  )
}

function SearchField() {
  const { text, by } = search.value
  return (
    <div class="field-row">
      <select
        aria-label="How keys are searched"
        value={by}
        onChange={event => (search.value = { text, by: event.currentTarget.value as 'prefix' | 'part' })}
      >
        <option value="prefix">Begins with</option>
        <option value="part">Contains</option>
      </select>
      <input
        type="search"
        aria-label="Search keys"
        placeholder="all keys"
        value={text}
        onInput={event => (search.value = { text: event.currentTarget.value, by })}
      />
    </div>
  )
}

/** The table of keys. */
export function KeyTable() {
  const db = session.value?.db
  const revision = shown.value
  const { text, by } = search.value
  const ask = async () => {
    if (db === undefined) return undefined
    return by === 'part' && text !== '' ? byPart(db, revision, text) : byPrefix(db, revision, text)
  }
  const { value, trouble } = useAnswer(ask, [db, revision, text, by, oldest.value, status.value?.pins])
  const chosen = key.value === undefined ? undefined : textOf(key.value)
  return (
    <section aria-label="Keys as of this revision" class="card grow">
      <div class="head">
        <h3>Keys as of revision {count(revision)}</h3>
        <span class="quiet" data-testid="total">
          {value === undefined ? '' : counted(value.total, 'key')}
        </span>
      </div>
      <SearchField />
      {trouble !== undefined && (
        <p class="notice">
          <strong>{trouble.title}.</strong> The oldest revision that can be read is {count(oldest.value)}.{' '}
          {trouble.advice}
        </p>
      )}
      {value !== undefined && (
        <section class="scroll" tabIndex={0} aria-label="Table of keys">
          <table>
            <thead>
              <tr>
                <th scope="col">Key</th>
                <th scope="col">Value</th>
                <th scope="col" class="number" title="The revision that wrote this value">
                  Written at
                </th>
                <th scope="col" class="number" title="How often the key was put since it was created">
                  Version
                </th>
              </tr>
            </thead>
            <tbody>
              {value.entries.map(entry => (
                <Row key={textOf(entry.key)} entry={entry} isChosen={textOf(entry.key) === chosen} />
              ))}
            </tbody>
          </table>
          {value.total > value.entries.length && (
            <p class="quiet">The first {count(value.entries.length)} are shown. Search to see others.</p>
          )}
          {value.total === 0 && (
            <p class="quiet">No key{text === '' ? ' exists at this revision' : ' fits'}.</p>
          )}
        </section>
      )}
    </section>
  )
}

/** What became of a value, word by word. */
function Diff({ before, after }: { before: string | undefined; after: string }) {
  if (before === undefined) return <code>{after}</code>
  if (before === after) return <code>{after} (the same again)</code>
  return (
    <code>
      {diffWordsWithSpace(before, after).map(({ added, removed, value }, at) => {
        const part = `${at}`
        if (added) return <ins key={part}>{value}</ins>
        if (removed) return <del key={part}>{value}</del>
        return <span key={part}>{value}</span>
      })}
    </code>
  )
}

type Past = Version<'bytes', 'bytes'>

function VersionItem({ version, before }: { version: Past; before: Past | undefined }) {
  const isShown = version.modRevision === shown.value
  return (
    <li class={isShown ? 'chosen' : ''}>
      <button type="button" class="link number" onClick={() => show(version.modRevision)}>
        {count(version.modRevision)}
      </button>
      {version.type === 'delete' ? (
        <em>deleted</em>
      ) : (
        <Diff
          before={before?.type === 'put' ? textOf(before.value) : undefined}
          after={textOf(version.value)}
        />
      )}
    </li>
  )
}

/** The history of the key that was chosen: every version that is still there, each against the one before. */
export function KeyHistory() {
  const db = session.value?.db
  const chosen = key.value
  const ask = async () => {
    if (db === undefined || chosen === undefined) return undefined
    const { entries } = await db.history(chosen, { reverse: true, limit: VERSIONS }).collect()
    return { of: chosen, entries }
  }
  const { value: answer } = useAnswer(ask, [db, chosen, newest.value, oldest.value])
  // Of another key it is no answer.
  const value = answer?.of === chosen ? answer?.entries : undefined
  return (
    <section aria-label="History of a key" class="card">
      <h3>{chosen === undefined ? 'History of a key' : `History of ${textOf(chosen)}`}</h3>
      {chosen === undefined && <p class="quiet">Choose a key to see every version of it.</p>}
      {chosen !== undefined && value?.length === 0 && <p class="quiet">Nothing of it is kept any more.</p>}
      {chosen !== undefined && value !== undefined && value.length > 0 && (
        <ol class="history" data-testid="history">
          {value.map((version, at) => (
            <VersionItem key={version.modRevision} version={version} before={value[at + 1]} />
          ))}
        </ol>
      )}
    </section>
  )
}

/** Shows a key that was written here. */
export function choose(text: string): void {
  key.value = bytesOf(text)
}
