/** The slider over revisions, and what the one that is shown has changed. */
import { useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import { useAnswer } from './answer.js'
import { textOf } from './bytes.js'
import { count, counted } from './format.js'
import { newest, oldest, status } from './live.js'
import { RELEASE_KEY } from './releases.js'
import { type Db, session } from './session.js'
import { isNewest, key, show, shown } from './time.js'

/** Changes that are listed. */
const LISTED = 200
/** How long the story stops at a revision, in milliseconds. */
const BEAT = 700

interface Change {
  readonly key: Uint8Array
  readonly type: 'created' | 'changed' | 'deleted'
}

interface Changes {
  readonly revision: number
  readonly changes: readonly Change[]
  /** Whether the revision before can't be read, so that deletes are not known. */
  readonly isPartial: boolean
}

/** What a revision changed: its difference from the one before or, where that is forgotten, what it put. */
async function changesOf(db: Db, revision: number): Promise<Changes> {
  if (revision <= 1) return { revision, changes: [], isPartial: false }
  if (revision - 1 >= oldest.peek()) {
    const { entries } = await db.diff(revision - 1, revision, { keysOnly: true, limit: LISTED }).collect()
    return { revision, changes: entries, isPartial: false }
  }
  const { entries } = await db
    .range({ revision, minModRevision: revision, keysOnly: true, limit: LISTED })
    .collect()
  const changes = entries.map(entry => ({
    key: entry.key,
    type: entry.version === 1 ? ('created' as const) : ('changed' as const),
  }))
  return { revision, changes, isPartial: true }
}

const SIGNS = { created: '+', changed: '~', deleted: '−' } as const

function ChangeList({ changes, revision, isPartial }: Changes) {
  const tally = (type: Change['type']) => changes.filter(change => change.type === type).length
  const most = changes.length === LISTED ? ` (the first ${LISTED} are listed)` : ''
  if (revision <= 1) return <p class="quiet">Revision 1 is the empty store.</p>
  return (
    <>
      <p class="quiet">
        Revision {count(revision)} created {count(tally('created'))}, changed {count(tally('changed'))}
        {isPartial ? '; what it deleted is forgotten' : ` and deleted ${counted(tally('deleted'), 'key')}`}
        {most}.
      </p>
      <ul class="changes">
        {changes.map(change => (
          <li key={textOf(change.key)}>
            <button type="button" class="link" onClick={() => (key.value = change.key)}>
              <span class={`sign ${change.type}`} title={change.type}>
                {SIGNS[change.type]}
              </span>
              <span class="sr">{change.type}</span> {textOf(change.key)}
            </button>
          </li>
        ))}
      </ul>
    </>
  )
}

/** What the revision that is shown has changed. */
export function RevisionChanges() {
  const db = session.value?.db
  const revision = shown.value
  const { value } = useAnswer(
    async () => (db === undefined ? undefined : changesOf(db, revision)),
    [db, revision, oldest.value],
  )
  return (
    <section aria-label="What this revision changed" class="card">
      <h3>What changed here</h3>
      {value === undefined ? <p class="quiet">…</p> : <ChangeList {...value} />}
    </section>
  )
}

/** The number of the release that was the newest at a revision, if the store has releases. */
function useRelease(): string | undefined {
  const db = session.value?.db
  const revision = shown.value
  const { value } = useAnswer(
    async () => db?.get(RELEASE_KEY, { revision, values: 'utf8' }).catch(() => undefined),
    [db, revision, oldest.value, status.value?.pins],
  )
  return value
}

/** The slider, with steps and a story that goes through all revisions. */
export function Timeline() {
  const isPlaying = useSignal(false)
  const [last, first, at] = [newest.value, oldest.value, shown.value]
  const release = useRelease()
  const isPinned = status.value?.holders.some(holder => holder.kind === 'pin' && holder.revision === at)
  useEffect(() => {
    if (!isPlaying.value) return
    if (at >= last) {
      isPlaying.value = false
      return
    }
    const timer = setTimeout(() => show(at + Math.max(1, Math.round((last - first) / 40))), BEAT)
    return () => clearTimeout(timer)
  }, [isPlaying.value, at, last])
  const play = () => {
    if (!isPlaying.value && at >= last) show(Math.max(first, 2))
    isPlaying.value = !isPlaying.value
  }
  const forgotten = last > 1 ? ((first - 1) / (last - 1)) * 100 : 0
  const words = `revision ${count(at)} of ${count(last)}${isNewest.value ? ', the newest' : ''}${release === undefined ? '' : `, mime-db ${release}`}`
  return (
    <div class="timeline">
      <label for="revision">
        Revision <strong data-testid="shown">{count(at)}</strong> of {count(last)}
        {release !== undefined && <span class="chip">mime-db {release}</span>}
        {isNewest.value && <span class="chip accent">newest</span>}
        {at < first && <span class="chip warn">{isPinned ? 'pinned' : 'forgotten'}</span>}
      </label>
      <div class="slider">
        <button type="button" onClick={() => show(at - 1)} disabled={at <= 1} aria-label="One revision back">
          ‹
        </button>
        <input
          id="revision"
          type="range"
          min={1}
          max={last}
          value={at}
          aria-valuetext={words}
          style={`--forgotten: ${forgotten}%`}
          onInput={event => show(event.currentTarget.valueAsNumber)}
        />
        <button
          type="button"
          onClick={() => show(at + 1)}
          disabled={at >= last}
          aria-label="One revision forward"
        >
          ›
        </button>
        <button type="button" onClick={play} disabled={last <= first} aria-pressed={isPlaying.value}>
          {isPlaying.value ? 'Stop' : 'Play'}
        </button>
        <button type="button" onClick={() => show(last)} disabled={isNewest.value}>
          Newest
        </button>
      </div>
      {first > 1 && (
        <p class="quiet">
          Compacted: revisions before {count(first)} can’t be read any more, except where a pin keeps them.
        </p>
      )}
    </div>
  )
}
