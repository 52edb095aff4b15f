import type * as t from '../types.js'
import { type Request, STORE_ID } from './protocol.js'

/** The options of `open` that can be changed while the store is open, as they were last. */
export type Settings = Pick<
  t.OpenOptions<t.ValueCodec, t.KeyCodec>,
  'autoCompaction' | 'retention' | 'thinning' | 'quotaBytes'
>

type Setter = Extract<keyof t.Store<t.ValueCodec, t.KeyCodec>, `set${string}`>

/** The option that each method changes. The compiler refuses one that is missing. */
const OPTIONS: Readonly<Record<Setter, keyof Settings>> = {
  setAutoCompaction: 'autoCompaction',
  setRetention: 'retention',
  setThinning: 'thinning',
  setQuota: 'quotaBytes',
}

/** What a request changes of the settings, if it does. */
export function settingOf({ on, method, args }: Request): Settings | undefined {
  if (on !== STORE_ID || !Object.hasOwn(OPTIONS, method)) return undefined
  return { [OPTIONS[method as Setter]]: args[0] }
}
