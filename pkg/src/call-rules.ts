import { selectionRules } from './keys.js'
import { type Rules, readRules, rules } from './options.js'

// The options of calls that are checked where they are made, also where the engine is in another thread.

/** The options of `count`. */
export const countRules: Rules = { ...selectionRules, revision: rules.revision, at: rules.time }
/** The options of `keys`. */
export const keysRules: Rules = { ...countRules, ...readRules, keys: rules.keys, signal: rules.signal }
/** The options of `range`. */
export const rangeRules: Rules = { ...keysRules, values: rules.values, keysOnly: rules.flag }
/** The options of `watch`. */
export const watchRules: Rules = {
  from: rules.revision,
  previous: rules.flag,
  puts: rules.flag,
  deletes: rules.flag,
  progress: rules.interval,
  fragmentBytes: rules.number,
  hold: rules.hold,
  signal: rules.signal,
  values: rules.values,
  keys: rules.keys,
}
/** The options of `snapshot`. */
export const snapshotRules: Rules = { revision: rules.revision, at: rules.time }
/** The options of `export`. */
export const exportRules: Rules = { signal: rules.signal }
