import type { PageMap, PageUse } from './types.js'

/** The uses of a page, in the order of the engine's numbers for them. */
const NAMES: readonly PageUse[] = ['free', 'pending', 'meta', 'branch', 'leaf', 'overflow', 'freelist']
const KIND_SHIFT = 24
const BYTES = 2 ** KIND_SHIFT - 1

/** What each page is used for, of the engine's one number a page. */
export function pageMap(packed: Uint32Array): PageMap {
  return {
    names: NAMES,
    kinds: Uint8Array.from(packed, page => page >>> KIND_SHIFT),
    usedBytes: packed.map(page => page & BYTES),
  }
}
