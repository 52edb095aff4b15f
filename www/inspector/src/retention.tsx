/** Rules of retention: which versions of the keys with a prefix compaction leaves. */
import { useSignal } from '@preact/signals'
import type { RetentionRule } from 'palimpsest-kv'
import { withStore } from './actions.js'
import { count, counted } from './format.js'

const MINUTE = 60_000

/** What a rule says, in words. */
function ruleWords({ prefix, newest, forAtLeast }: RetentionRule): string {
  const kept = [
    ...(newest === undefined ? [] : [`the newest ${counted(newest, 'version')}`]),
    ...(forAtLeast === undefined ? [] : [`everything for ${counted(forAtLeast / MINUTE, 'minute')}`]),
  ]
  const keys = prefix === '' ? 'all keys' : `keys that begin with ${String(prefix)}`
  return `Of ${keys}: ${kept.join(', and ') || 'nothing more'}`
}

/** A number that was typed; nothing if nothing was. */
function typed(text: string): number | undefined {
  return text.trim() === '' ? undefined : Number(text)
}

function RuleFields({ onRule }: { onRule: (rule: RetentionRule) => void }) {
  const [prefix, newest, minutes] = [useSignal('text/'), useSignal('3'), useSignal('')]
  const add = (event: Event) => {
    event.preventDefault()
    const age = typed(minutes.value)
    onRule({
      prefix: prefix.value,
      newest: typed(newest.value),
      forAtLeast: age === undefined ? undefined : age * MINUTE,
    })
  }
  return (
    <form class="field-grid" onSubmit={add} aria-label="Add a rule of retention">
      <label>
        Prefix
        <input value={prefix.value} onInput={event => (prefix.value = event.currentTarget.value)} />
      </label>
      <label>
        Newest versions
        <input
          type="number"
          min="1"
          value={newest.value}
          onInput={event => (newest.value = event.currentTarget.value)}
        />
      </label>
      <label>
        Minutes
        <input
          type="number"
          min="0"
          step="any"
          value={minutes.value}
          onInput={event => (minutes.value = event.currentTarget.value)}
        />
      </label>
      <button type="submit">Keep</button>
    </form>
  )
}

/** The rules that are in force, and a form that adds one. Whoever opens a store says its rules, so they begin with none. */
export function Retention() {
  const rules = useSignal<readonly RetentionRule[]>([])
  const change = (changed: readonly RetentionRule[]) =>
    void withStore(async db => {
      await db.setRetention(changed)
      rules.value = changed
    })
  const add = (rule: RetentionRule) =>
    change([...rules.value.filter(({ prefix }) => prefix !== rule.prefix), rule])
  return (
    <section class="rule" aria-label="Retention">
      <h4>Keep versions through compaction</h4>
      <RuleFields onRule={add} />
      <ul class="rows">
        {rules.value.map(rule => (
          <li key={String(rule.prefix)}>
            <span>{ruleWords(rule)}</span>
            <button
              type="button"
              aria-label={`Remove the rule of ${String(rule.prefix)}`}
              onClick={() => change(rules.value.filter(other => other !== rule))}
            >
              Remove
            </button>
          </li>
        ))}
      </ul>
      <p class="quiet">
        {rules.value.length === 0
          ? 'None: only the present versions stay. The history of a key shows what a rule has kept.'
          : `${count(rules.value.length)} in force, until the page is left. The longest prefix decides.`}
      </p>
    </section>
  )
}
