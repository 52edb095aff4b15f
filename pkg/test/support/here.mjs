// What the place that the tests run in can do.

/** Whether stores can be read at once: not where their engine is in another thread. */
export const readsAtOnce = globalThis.palimpsestIsElsewhere !== true
