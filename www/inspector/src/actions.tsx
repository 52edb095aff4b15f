/** Writing by hand: put, delete, transactions; pins, snapshots, and a watch that tells what happens. */
import { useSignal } from '@preact/signals'
import { del, put } from 'palimpsest-kv'
import { useEffect } from 'preact/hooks'
import { useAnswer } from './answer.js'
import { bytesOf, textOf } from './bytes.js'
import { count } from './format.js'
import { choose } from './keys.js'
import { look, status } from './live.js'
import { type Db, type Held, session, snapshots, tried } from './session.js'
import { show, shown } from './time.js'

/** Lines of the feed that are kept. */
const LINES = 100

/** Does something with the store that is open, shows what goes wrong, and looks at the store then. */
export function withStore(work: (db: Db) => Promise<unknown>): Promise<boolean> {
  return tried(async () => {
    const db = session.value?.db
    if (db === undefined) return
    await work(db)
    await look()
  })
}

/** Fields for a key and a value. */
export function WriteForm() {
  const [name, value] = [useSignal('greeting'), useSignal('hello')]
  const write = (event: Event) => {
    event.preventDefault()
    void withStore(async db => {
      await db.put(name.value, bytesOf(value.value))
      choose(name.value)
    })
  }
  const remove = () => void withStore(db => db.delete(name.value))
  return (
    <form class="card" onSubmit={write} aria-label="Put or delete">
      <h3>Put or delete</h3>
      <label>
        Key
        <input value={name.value} onInput={event => (name.value = event.currentTarget.value)} />
      </label>
      <label>
        Value
        <textarea rows={2} value={value.value} onInput={event => (value.value = event.currentTarget.value)} />
      </label>
      <div class="buttons">
        <button class="primary" type="submit">
          Put
        </button>
        <button type="button" onClick={remove}>
          Delete
        </button>
      </div>
      <p class="quiet">Each makes one new revision. The value before stays, for the past.</p>
    </form>
  )
}

/** What the lines of a transaction say: `key = value` puts, `- key` deletes. */
export function parseOps(text: string) {
  return text
    .split('\n')
    .map(line => line.trim())
    .filter(line => line !== '')
    .map(line => {
      if (line.startsWith('- ')) return del(line.slice(2).trim())
      const at = line.indexOf('=')
      if (at < 0) throw new Error(`“${line}” is neither “key = value” nor “- key”.`)
      return put(line.slice(0, at).trim(), bytesOf(line.slice(at + 1).trim()))
    })
}

/** A transaction: several changes in one revision, if a key is as it was seen. */
export function TxnForm() {
  const text = useSignal('cart/apples = 3\ncart/pears = 1\n- greeting')
  const guard = useSignal('greeting')
  const said = useSignal('')
  const commit = (event: Event) => {
    event.preventDefault()
    said.value = ''
    void withStore(async db => {
      const condition = guard.value === '' ? [] : [db.compare(guard.value).version.greaterThan(0)]
      const { succeeded, revision } = await db
        .txn()
        .if(...condition)
        .then(...parseOps(text.value))
        .commit()
      said.value = succeeded
        ? `Done, all in revision ${count(revision)}.`
        : `Not done: the key “${guard.value}” does not exist, so nothing was changed.`
    })
  }
  return (
    <form class="card" onSubmit={commit} aria-label="Transaction">
      <h3>Transaction</h3>
      <label>
        If this key exists (empty: in any case)
        <input value={guard.value} onInput={event => (guard.value = event.currentTarget.value)} />
      </label>
      <label>
        then, all in one revision
        <textarea rows={3} value={text.value} onInput={event => (text.value = event.currentTarget.value)} />
      </label>
      <div class="buttons">
        <button class="primary" type="submit">
          Commit
        </button>
      </div>
      <p class="quiet" role="status">
        {said.value || '“key = value” puts, “- key” deletes. All of it happens, or nothing.'}
      </p>
    </form>
  )
}

interface Line {
  readonly id: string
  readonly revision: number
  readonly words: string
}

/** A live feed of what happens to keys with a prefix. */
export function WatchFeed() {
  const isOn = useSignal(false)
  const prefix = useSignal('')
  const lines = useSignal<readonly Line[]>([])
  const db = session.value?.db
  useEffect(() => {
    if (!isOn.value || db === undefined) return
    const stop = new AbortController()
    const selection = prefix.value === '' ? ({ all: true } as const) : { prefix: prefix.value }
    const follow = async () => {
      for await (const { events } of db.watch(selection, { signal: stop.signal })) {
        const told = events.slice(-LINES).map((event, at) => ({
          id: `${event.modRevision}/${at}`,
          revision: event.modRevision,
          words: `${event.type} ${textOf(event.key)}${event.type === 'put' ? ` = ${textOf(event.value.subarray(0, 80))}` : ''}`,
        }))
        lines.value = [...told.reverse(), ...lines.value].slice(0, LINES)
      }
    }
    void tried(() => follow().catch(error => (stop.signal.aborted ? undefined : Promise.reject(error))))
    return () => stop.abort()
  }, [isOn.value, prefix.value, db])
  return (
    <section class="card" aria-label="Watch">
      <h3>Watch</h3>
      <div class="field-row">
        <input
          aria-label="Prefix of the keys to watch"
          placeholder="all keys, or a prefix"
          value={prefix.value}
          onChange={event => (prefix.value = event.currentTarget.value)}
        />
        <button type="button" aria-pressed={isOn.value} onClick={() => (isOn.value = !isOn.value)}>
          {isOn.value ? 'Stop' : 'Watch'}
        </button>
      </div>
      <ol class="feed" data-testid="feed" tabIndex={0} aria-label="What was told">
        {lines.value.map(({ id, revision, words }) => (
          <li key={id}>
            <span class="number">{count(revision)}</span> {words}
          </li>
        ))}
      </ol>
      <p class="quiet">
        {isOn.value
          ? 'Told of every change, in order, as it happens.'
          : 'A watch tells every change of its keys.'}
      </p>
    </section>
  )
}

function Pins() {
  const name = useSignal('keep')
  const db = session.value?.db
  const number = status.value?.pins
  const { value: pins } = useAnswer(async () => db?.pins(), [db, number, status.value?.deadRecords])
  const pin = (event: Event) => {
    event.preventDefault()
    void withStore(db => db.pin(name.value, shown.value))
  }
  return (
    <>
      <form class="field-row" onSubmit={pin}>
        <input
          aria-label="Name of the pin"
          value={name.value}
          onInput={event => (name.value = event.currentTarget.value)}
        />
        <button type="submit">Pin revision {count(shown.value)}</button>
      </form>
      <ul class="rows">
        {pins?.map(({ name, revision }) => (
          <li key={name}>
            <button type="button" class="link" onClick={() => show(revision)}>
              {name}, revision {count(revision)}
            </button>
            <button
              type="button"
              onClick={() => void withStore(db => db.unpin(name))}
              aria-label={`Remove the pin ${name}`}
            >
              Remove
            </button>
          </li>
        ))}
      </ul>
    </>
  )
}

let lastId = 0

function Snapshots() {
  const take = () =>
    void withStore(async db => {
      lastId += 1
      snapshots.value = [...snapshots.value, { id: lastId, snapshot: db.snapshot({ revision: shown.value }) }]
    })
  const close = ({ id, snapshot }: Held) =>
    void withStore(async () => {
      snapshot.close()
      snapshots.value = snapshots.value.filter(other => other.id !== id)
    })
  return (
    <>
      <button type="button" onClick={take}>
        Open a snapshot of revision {count(shown.value)}
      </button>
      <ul class="rows">
        {snapshots.value.map(held => (
          <li key={held.id}>
            <span>snapshot of revision {count(held.snapshot.revision)}</span>
            <button
              type="button"
              onClick={() => close(held)}
              aria-label={`Close the snapshot of ${held.snapshot.revision}`}
            >
              Close
            </button>
          </li>
        ))}
      </ul>
    </>
  )
}

/** What keeps a revision readable: pins, which outlive the page, and snapshots, which don't. */
export function Holds() {
  return (
    <section class="card" aria-label="Pins and snapshots">
      <h3>Keep a revision</h3>
      <Pins />
      <Snapshots />
      <p class="quiet">
        A pin keeps a revision readable through every compaction, until it is removed. A snapshot does so
        until it is closed, and holds its pages back meanwhile.
      </p>
    </section>
  )
}
