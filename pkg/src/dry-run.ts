import type { Background } from './background.js'
import { dryRunRules } from './call-rules.js'
import { decodeKey, encodeKey } from './codec.js'
import type { RawDryRunReport } from './engine.js'
import { type Codecs, checkOptions } from './options.js'
import type { DryRun, DryRunOptions, KeyCodec } from './types.js'

/** How long a slice of the work takes, in milliseconds. */
const SLICE = 2

/** What a dry run needs of its store. */
export interface DryRunSource {
  readonly background: Background
  readonly codecs: Codecs
  /** Begins; answers with the next slice, which answers with the report when it is done. */
  readonly begin: (delimiter: Uint8Array, depth: number) => (budget: number) => RawDryRunReport | undefined
}

/** Does a dry run in slices, between which everything else has its turn. */
export async function dryRun<K extends KeyCodec>(
  source: DryRunSource,
  options: DryRunOptions<K> | undefined,
): Promise<DryRun<K>> {
  checkOptions(options, dryRunRules)
  const { delimiter = '/', depth = 1, signal, keys = source.codecs.keys as K } = options ?? {}
  const slice = source.begin(encodeKey(delimiter), depth)
  while (true) {
    if (signal?.aborted) throw signal.reason
    const report = slice(SLICE)
    if (report !== undefined) {
      const { revision, records, bytes } = report
      const prefixes = report.prefixes.map(([prefix, records, bytes]) => ({
        prefix: decodeKey(prefix, 0, prefix.length, keys),
        records,
        bytes,
      }))
      return { revision, records, bytes, prefixes }
    }
    await new Promise<void>(resolve => source.background.nextTurn(resolve))
  }
}
