import { selectionRules } from './keys.js'
import { putModifierRules } from './ops.js'
import { type Rules, readRules, rules } from './options.js'

// The options of calls that are checked where they are made, also where the engine is in another thread.

const codecRules: Rules = { values: rules.values, keys: rules.keys }
const momentRules: Rules = { revision: rules.revision, at: rules.time }
const pastRules: Rules = { limit: rules.size, signal: rules.signal, ...codecRules }

/** The options of what only writes. */
export const writeRules: Rules = { durability: rules.durability }
/** The options of `get`. */
export const getRules: Rules = { ...momentRules, values: rules.values }
/** The options of `getEntry`. */
export const entryRules: Rules = { ...getRules, keys: rules.keys }
/** The options of `count`. */
export const countRules: Rules = { ...selectionRules, ...momentRules }
/** The options of `keys`. */
export const keysRules: Rules = { ...countRules, ...readRules, keys: rules.keys, signal: rules.signal }
/** The options of `range`. */
export const rangeRules: Rules = { ...keysRules, values: rules.values, keysOnly: rules.flag }
/** The options of `history`. */
export const historyRules: Rules = {
  ...pastRules,
  reverse: rules.flag,
  from: rules.revision,
  keysOnly: rules.flag,
}
/** The options of `diff`. */
export const diffRules: Rules = { ...pastRules, ...selectionRules, keysOnly: rules.flag }
/** The options of `put`. */
export const putRules: Rules = { ...writeRules, ...putModifierRules, ...codecRules }
/** The options of `delete`. */
export const deleteRules: Rules = { ...writeRules, previous: rules.flag, ...codecRules }
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
  ...codecRules,
}
/** The options of `snapshot`. */
export const snapshotRules: Rules = momentRules
/** The options of `grantLease`. */
export const grantRules: Rules = { ...writeRules, id: rules.number }
/** The options of `leaseKeys`. */
export const leaseKeysRules: Rules = { keys: rules.keys }
/** The options of `pin`. */
export const pinRules: Rules = { ...writeRules, expires: rules.moment }
/** The quota, as an option. */
export const quotaRules: Rules = { quotaBytes: rules.number }
/** The options of `dryRun`. */
export const dryRunRules: Rules = {
  delimiter: rules.delimiter,
  depth: rules.size,
  signal: rules.signal,
  keys: rules.keys,
}
/** The options of `export`. */
export const exportRules: Rules = { signal: rules.signal }
