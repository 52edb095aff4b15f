import type { Sources } from './open.js'

/** What every entry loads in the same way, when it is first needed. */
export const PARTS: Pick<Sources, 'workerCode' | 'inPlace'> = {
  workerCode: async () => ((await import('palimpsest-worker-code' as string)) as { default: string }).default,
  inPlace: () => import('./in-place.js'),
}
