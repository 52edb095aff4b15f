/** The guided run, as buttons. */
import { restart, results, running, runStep, STEPS } from './guide.js'
import { isLoading } from './load.js'
import { busy, session, tried } from './session.js'

function StepItem({ at }: { at: number }) {
  const step = STEPS[at]
  if (step === undefined) return null
  const said = results.value[at]
  const isNext = at === results.value.length
  const isRunning = running.value === at
  const state = isRunning ? 'running' : said !== undefined ? 'done' : isNext ? 'next' : 'later'
  return (
    <li class={`step ${state}`} aria-current={isNext ? 'step' : undefined}>
      <button
        type="button"
        class={isNext ? 'primary' : ''}
        disabled={!isNext || running.value !== undefined || busy.value !== undefined || isLoading.value}
        onClick={() => void tried(() => runStep(at))}
      >
        {at + 1} {step.name}
      </button>
      <p>{isRunning ? `${step.before} …` : (said ?? step.before)}</p>
    </li>
  )
}

/** Five steps that show what compaction does to pages. */
export function GuideView() {
  const isOver = results.value.length === STEPS.length
  return (
    <section aria-label="Guided run" class="card">
      <div class="head">
        <h3>What compaction does, in five steps</h3>
        {results.value.length > 0 && (
          <button type="button" class="link" onClick={restart} disabled={running.value !== undefined}>
            Begin anew
          </button>
        )}
      </div>
      {session.value?.kind === 'file' ? (
        <p class="quiet">The guided run writes to the page’s own store. Close the file first.</p>
      ) : (
        <ol class="steps" aria-live="polite">
          {STEPS.map((step, at) => (
            <StepItem key={step.name} at={at} />
          ))}
        </ol>
      )}
      {isOver && (
        <p class="quiet">
          That is all of it: forgetting frees pages, free pages are used first, and shrinking cuts the file.
        </p>
      )}
    </section>
  )
}
