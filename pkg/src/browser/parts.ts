import type { Sources } from './open.js'

/** What every entry loads in the same way, when it is first needed. */
export const PARTS: Omit<Sources, 'wasm'> = {
  workerCode: async () => ((await import('palimpsest-worker-code' as string)) as { default: string }).default,
  inPlace: () => import('./in-place.js'),
  importing: () => import('./importing.js'),
}
