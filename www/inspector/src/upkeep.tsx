/** Forgetting: compaction by hand and by itself, thinning, the quota, and shrinking. */
import { useSignal } from '@preact/signals'
import type { AutoCompaction, CompactionProgress, DryRun } from 'palimpsest-kv'
import type { ComponentChildren } from 'preact'
import { withStore } from './actions.js'
import { count, counted, size } from './format.js'
import { newest, status } from './live.js'
import { Retention } from './retention.js'
import { shown } from './time.js'

const MEBIBYTE = 1024 * 1024

/** Choices of what is forgotten by itself. */
const POLICIES: Readonly<Record<string, { readonly words: string; readonly policy: AutoCompaction }>> = {
  off: { words: 'nothing', policy: 'off' },
  'revisions-1000': { words: 'what is more than 1,000 revisions ago', policy: { revisions: 1000 } },
  'periodic-minute': { words: 'what is older than a minute', policy: { periodic: 60_000 } },
  'periodic-hour': { words: 'what is older than an hour', policy: { periodic: 3_600_000 } },
}

function Progress({ progress }: { progress: CompactionProgress | undefined }) {
  if (progress === undefined) return null
  const { removed, total, pagesFreed, finished } = progress
  return (
    <div role="status" data-testid="compaction">
      <progress
        max={Math.max(1, total)}
        value={finished ? Math.max(1, total) : removed}
        aria-label="Compaction"
      />
      <p class="quiet">
        {counted(removed, 'record')} of {count(total)} removed, {counted(Math.max(0, pagesFreed), 'page')}{' '}
        freed
        {finished ? '. Done.' : ' …'}
      </p>
    </div>
  )
}

function DryRunWords({ report }: { report: DryRun<'bytes'> | undefined }) {
  if (report === undefined) return null
  return (
    <p class="quiet" role="status">
      Compacting to revision {count(report.revision)} would free {counted(report.records, 'record')},{' '}
      {size(report.bytes)}.
    </p>
  )
}

/** Compaction by hand, with a look at what it would free. */
export function CompactForm() {
  const progress = useSignal<CompactionProgress | undefined>(undefined)
  const report = useSignal<DryRun<'bytes'> | undefined>(undefined)
  const to = shown.value
  const compact = (event: Event) => {
    event.preventDefault()
    report.value = undefined
    void withStore(async db => {
      const job = await db.compact(to)
      for await (const step of job.progress()) progress.value = step
      progress.value = await job.done
    })
  }
  const ask = () => void withStore(async db => (report.value = await db.dryRun(to)))
  return (
    <form class="card" onSubmit={compact} aria-label="Compact">
      <h3>Compact</h3>
      <p>
        Forget everything before revision <strong>{count(to)}</strong>
        {to === newest.value ? ', the newest' : ''}. The newest value of each key always stays.
      </p>
      <div class="buttons">
        <button class="primary" type="submit">
          Compact
        </button>
        <button type="button" onClick={ask}>
          What would it free?
        </button>
        <button
          type="button"
          onClick={() => void withStore(db => db.shrink())}
          disabled={status.value?.isShrinking}
        >
          {status.value?.isShrinking ? 'Shrinking …' : 'Shrink the file'}
        </button>
        <button type="button" onClick={() => void withStore(db => db.checkpoint())}>
          Checkpoint
        </button>
      </div>
      <DryRunWords report={report.value} />
      <Progress progress={progress.value} />
    </form>
  )
}

/** A rule of what the store forgets or refuses. */
function Rule(props: { id: string; label: string; hint: string; children: ComponentChildren }) {
  return (
    <div class="rule">
      <label for={props.id}>{props.label}</label>
      {props.children}
      <p class="quiet">{props.hint}</p>
    </div>
  )
}

function AutoCompactionRule() {
  const choice = useSignal('off')
  const change = (name: string) => {
    choice.value = name
    void withStore(db => db.setAutoCompaction(POLICIES[name]?.policy ?? 'off'))
  }
  return (
    <Rule
      id="auto-compaction"
      label="Forget by itself"
      hint="Revisions are looked at every five minutes, ages after the first whole period. Lasts until the page is left."
    >
      <select id="auto-compaction" value={choice.value} onChange={event => change(event.currentTarget.value)}>
        {Object.entries(POLICIES).map(([name, { words }]) => (
          <option key={name} value={name}>
            {words}
          </option>
        ))}
      </select>
    </Rule>
  )
}

function ThinningRule() {
  const choice = useSignal<'off' | 'default'>('off')
  const change = (name: 'off' | 'default') => {
    choice.value = name
    void withStore(db => db.setThinning(name))
  }
  return (
    <Rule
      id="thinning"
      label="Thin out with age"
      hint="Keeps every revision of the last hour, one an hour for a day, and one a day for 30 days: by pins of its own."
    >
      <select
        id="thinning"
        value={choice.value}
        onChange={event => change(event.currentTarget.value === 'default' ? 'default' : 'off')}
      >
        <option value="off">off</option>
        <option value="default">an hour of all, a day of hours, a month of days</option>
      </select>
    </Rule>
  )
}

function QuotaRule() {
  const quota = status.value?.quotaBytes
  /** What is being typed, until it is set: the store is looked at meanwhile. */
  const draft = useSignal<string | undefined>(undefined)
  const change = (text: string) => {
    const mebibytes = Number(text)
    const bytes = text.trim() === '' ? undefined : Math.round(mebibytes * MEBIBYTE)
    void withStore(db => db.setQuota(bytes)).finally(() => (draft.value = undefined))
  }
  return (
    <Rule
      id="quota"
      label="Quota in MiB"
      hint={
        quota === undefined
          ? 'Not bounded. With a quota, writes that need more are refused, while deleting and compacting go on.'
          : `At most ${size(quota)} of pages may be in use; ${size(status.value?.usedBytes ?? 0)} are.`
      }
    >
      <input
        id="quota"
        type="number"
        min="0"
        step="any"
        placeholder="none"
        value={draft.value ?? (quota === undefined ? '' : quota / MEBIBYTE)}
        onInput={event => (draft.value = event.currentTarget.value)}
        onChange={event => change(event.currentTarget.value)}
      />
    </Rule>
  )
}

/** What the store does by itself. */
export function Rules() {
  return (
    <section class="card" aria-label="Rules">
      <h3>Rules</h3>
      <AutoCompactionRule />
      <ThinningRule />
      <QuotaRule />
      <Retention />
    </section>
  )
}
