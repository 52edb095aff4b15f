/** Which revision is shown, and which key of it. */
import { computed, effect, signal } from '@preact/signals'
import { newest } from './live.js'
import { session } from './session.js'

/** The revision that was chosen; `undefined` for whatever is the newest. */
export const chosen = signal<number | undefined>(undefined)
/** The revision that is shown. */
export const shown = computed(() => Math.min(chosen.value ?? newest.value, newest.value))
/** Whether that is the newest, and goes on with it. */
export const isNewest = computed(() => chosen.value === undefined)
/** How keys are searched: by how they begin, which the store does, or by what they contain. */
export const search = signal<{ readonly text: string; readonly by: 'prefix' | 'part' }>({
  text: '',
  by: 'prefix',
})
/** The key whose history is shown. */
export const key = signal<Uint8Array | undefined>(undefined)

/** Shows a revision; the newest one is followed from then on. */
export function show(revision: number): void {
  chosen.value = revision >= newest.value ? undefined : Math.max(1, revision)
}

effect(() => {
  if (session.value === undefined) return
  chosen.value = undefined
  key.value = undefined
})
