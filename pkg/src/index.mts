/**
 * The same package for `import`: one instance of the engine, however it is loaded.
 *
 * @packageDocumentation
 */

export type { ErrorCode, ErrorFields } from './index.js'
export { compare, del, get, importEtcdSnapshot, importStore, open, PalimpsestError, put } from './index.js'
export type * from './types.js'
