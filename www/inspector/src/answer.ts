/** Answers of the store as parts of the page. */
import type { PalimpsestError } from 'palimpsest-kv'
import { useEffect, useRef, useState } from 'preact/hooks'
import { type Trouble, troubleOf } from './words.js'

/** What was answered last, and whether it failed. */
export interface Answer<T> {
  readonly value: T | undefined
  readonly trouble: Trouble | undefined
}

/**
 * Asks again whenever what it depends on changes, but only one question at a time: what changes meanwhile is asked about after that. What
 * was answered before stays until then, so that nothing flickers.
 */
export function useAnswer<T>(ask: () => Promise<T>, deps: readonly unknown[]): Answer<T> {
  const [answer, setAnswer] = useState<Answer<T>>({ value: undefined, trouble: undefined })
  const state = useRef<{ ask: () => Promise<T>; isAsking: boolean; isStale: boolean }>({
    ask,
    isAsking: false,
    isStale: false,
  })
  state.current.ask = ask
  useEffect(() => {
    const current = state.current
    current.isStale = true
    if (current.isAsking) return
    current.isAsking = true
    void settle(current, setAnswer)
  }, deps)
  return answer
}

async function settle<T>(
  state: { ask: () => Promise<T>; isAsking: boolean; isStale: boolean },
  tell: (answer: Answer<T>) => void,
): Promise<void> {
  while (state.isStale) {
    state.isStale = false
    try {
      tell({ value: await state.ask(), trouble: undefined })
    } catch (error) {
      // A store that is being closed is followed by another one.
      if ((error as PalimpsestError).code !== 'CLOSED') tell({ value: undefined, trouble: troubleOf(error) })
    }
  }
  // In the same breath as the last look at it, so that no change falls between.
  state.isAsking = false
}
