/** The load generator and the curves. */
import { useSignal } from '@preact/signals'
import { count } from './format.js'
import { running } from './guide.js'
import { isLoading, rate, startLoad, stopLoad, written } from './load.js'
import { session } from './session.js'

const RATES = [10, 100, 1000, 10_000, Number.POSITIVE_INFINITY] as const
const TOTALS = [undefined, 10_000, 100_000, 1_000_000] as const

function Choice<T>(props: {
  label: string
  options: readonly T[]
  value: T
  words: (option: T) => string
  onChoice: (option: T) => void
}) {
  const { label, options, value, words, onChoice } = props
  return (
    <label>
      {label}
      <select
        value={String(value)}
        onChange={event => {
          const chosen = options.find(option => String(option) === event.currentTarget.value)
          onChoice(chosen as T)
        }}
      >
        {options.map(option => (
          <option key={String(option)} value={String(option)}>
            {words(option)}
          </option>
        ))}
      </select>
    </label>
  )
}

/** Writes at a rate. */
export function LoadForm() {
  const perSecond = useSignal<(typeof RATES)[number]>(1000)
  const total = useSignal<(typeof TOTALS)[number]>(undefined)
  const keys = useSignal(1000)
  const toggle = (event: Event) => {
    event.preventDefault()
    if (isLoading.value) stopLoad()
    else void startLoad({ rate: perSecond.value, keys: keys.value, valueBytes: 64, total: total.value })
  }
  return (
    <form class="card" onSubmit={toggle} aria-label="Load">
      <h3>Load</h3>
      <div class="field-grid">
        <Choice
          label="Puts a second"
          options={RATES}
          value={perSecond.value}
          words={option => (option === Number.POSITIVE_INFINITY ? 'as many as go' : count(option))}
          onChoice={option => (perSecond.value = option)}
        />
        <Choice
          label="Stop after"
          options={TOTALS}
          value={total.value}
          words={option => (option === undefined ? 'never' : count(option))}
          onChoice={option => (total.value = option)}
        />
        <Choice
          label="Over keys"
          options={[10, 1000, 100_000]}
          value={keys.value}
          words={count}
          onChoice={option => (keys.value = option)}
        />
      </div>
      <div class="buttons">
        <button
          class="primary"
          type="submit"
          disabled={session.value === undefined || running.value !== undefined}
        >
          {isLoading.value ? 'Stop' : 'Write'}
        </button>
      </div>
      <p class="quiet number" data-testid="written">
        {written.value === 0 && !isLoading.value
          ? 'Puts values of 64 bytes under keys that begin with load/. Each is a revision.'
          : `${count(written.value)} puts${isLoading.value ? `, ${count(rate.value)} a second` : ''}.`}
      </p>
    </form>
  )
}
