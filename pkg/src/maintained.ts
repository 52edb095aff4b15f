import { Background } from './background.js'
import { exportRules, quotaRules } from './call-rules.js'
import { EngineExport } from './copies.js'
import { dryRun } from './dry-run.js'
import type { Instance, RawEngine } from './engine.js'
import type { Host } from './host.js'
import {
  type Codecs,
  checkOptions,
  checkPolicy,
  checkRetention,
  checkRevision,
  checkThinning,
  checkTime,
} from './options.js'
import { pageMap } from './pages.js'
import { EngineReader } from './reader.js'
import type * as t from './types.js'

/** What is needed to look after a store. */
export interface MaintainedParts<V extends t.ValueCodec, K extends t.KeyCodec> {
  readonly instance: Instance
  readonly engine: RawEngine
  readonly host: Host
  readonly codecs: Codecs<V, K>
}

/** What is done about a store as a whole: copying it, the times of its revisions, how much of its history and of the storage it may keep. */
export abstract class MaintainedStore<V extends t.ValueCodec, K extends t.KeyCodec> extends EngineReader<
  V,
  K
> {
  readonly #engine: RawEngine

  constructor({ instance, engine, host, codecs }: MaintainedParts<V, K>) {
    super(instance, new Background(instance, engine, host), codecs)
    this.#engine = engine
  }

  /** Makes a change that background work may follow. */
  protected abstract changing<T>(change: () => T): T

  export(options?: t.ExportOptions): t.Export {
    checkOptions(options, exportRules)
    return new EngineExport({
      instance: this.instance,
      background: this.background,
      raw: this.guarded(() => this.#engine.export()),
      assertOpen: () => this.assertOpen(),
      signal: options?.signal,
    })
  }

  async dryRun<L extends t.KeyCodec = K>(
    revision: number,
    options?: t.DryRunOptions<L>,
  ): Promise<t.DryRun<L>> {
    const checked = checkRevision(revision)
    const { background, codecs } = this
    const begin = (delimiter: Uint8Array, depth: number) => {
      const run = this.guarded(() => this.#engine.dryRun(checked, delimiter, depth))
      return (budget: number) => {
        const report = this.guarded(() => this.#engine.dryRunStep(run, budget))
        if (report !== undefined) run.free()
        return report
      }
    }
    return dryRun({ background, codecs, begin }, options)
  }

  async revisionAt(time: Date): Promise<number | undefined> {
    const millis = checkTime(time)
    return this.guarded(() => this.#engine.revisionAt(millis))
  }

  async timeOf(revision: number): Promise<Date | undefined> {
    const checked = checkRevision(revision)
    const millis = this.guarded(() => this.#engine.timeOf(checked))
    return millis === undefined ? undefined : new Date(millis)
  }

  async setAutoCompaction(policy: t.AutoCompaction): Promise<void> {
    const checked = checkPolicy(policy)
    this.changing(() => this.#engine.setAutoCompaction(checked))
  }

  async setRetention(retention: readonly t.RetentionRule[]): Promise<void> {
    const checked = checkRetention(retention)
    this.changing(() => this.#engine.setRetention(checked))
  }

  async setThinning(thinning: t.Thinning): Promise<void> {
    const checked = checkThinning(thinning)
    this.changing(() => this.#engine.setThinning(checked))
  }

  async setQuota(bytes: number | undefined): Promise<void> {
    checkOptions({ quotaBytes: bytes }, quotaRules)
    this.changing(() => this.#engine.setQuota(bytes))
  }

  async shrink(): Promise<void> {
    this.changing(() => this.#engine.shrink())
  }

  async pages(): Promise<t.PageMap> {
    return pageMap(this.guarded(() => this.#engine.pages()))
  }

  async hashKv(revision = 0): Promise<t.HashKv> {
    const checked = checkRevision(revision)
    return this.guarded(() => this.#engine.hashKv(checked))
  }

  async check(): Promise<t.CheckReport> {
    return this.guarded(() => this.#engine.check()) as t.CheckReport
  }
}
