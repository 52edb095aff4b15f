import type { AbortSignalLike } from '../types.js'

/**
 * What is asked of another thread, unless the signal comes first: then its reason, however long the answer takes. Whoever is asked goes on,
 * but nobody hears of it any more.
 */
export async function signalled<T>(signal: AbortSignalLike | undefined, ask: () => Promise<T>): Promise<T> {
  if (signal === undefined) return ask()
  if (signal.aborted) throw signal.reason
  const asked = ask()
  let abort = () => {}
  const aborted = new Promise<never>((_, reject) => {
    abort = () => reject(signal.reason)
    signal.addEventListener('abort', abort)
  })
  try {
    return await Promise.race([asked, aborted])
  } finally {
    signal.removeEventListener('abort', abort)
    asked.catch(() => {})
  }
}
