import {
  compare,
  del,
  type Entry,
  type Export,
  get,
  importEtcdSnapshot,
  importStore,
  open,
  PalimpsestError,
  type Pin,
  put,
  type Store,
  type SyncStorage,
  type Watch,
  type WatchEvent,
} from 'palimpsest-kv'

export async function use(storage: SyncStorage): Promise<string | undefined> {
  const db = await open({ storage: 'memory' })
  const { revision }: { revision: number } = await db.put('users/1', 'Ada')
  const then: string | undefined = await db.get('users/1', { revision })
  const now: string | undefined = db.getSync(new Uint8Array([1]))
  for await (const { key, value, modRevision } of db.range({ prefix: 'users/', limit: 5 })) {
    const text: string = key + value + modRevision.toFixed()
    void text
  }
  const raw: Uint8Array | undefined = await db.get('a', { values: 'bytes' })
  const parsed: unknown = await db.get('a', { values: 'json' })
  const answer = await db
    .txn()
    .if(db.compare('users/1').version.equals(2), compare('b').value.lessThan('x'))
    .then(put('x', 'y'), get({ prefix: 'a' }, { limit: 1 }))
    .else(del('x'))
    .commit()
  for (const result of answer.results) {
    if (result.type === 'get') {
      const entries: Entry[] = result.entries
      void entries
    }
  }
  const snapshot = db.snapshot({ revision })
  const count: number = await snapshot.count({ from: 'a', to: 'b' })
  snapshot.close()
  const job = await db.compact(revision)
  for await (const progress of job.progress()) void progress.removed
  const { finished }: { finished: boolean } = await job.done
  const bytes: Store<'bytes', 'bytes'> = await open({
    storage,
    values: 'bytes',
    keys: 'bytes',
    durability: 'relaxed',
  })
  await bytes.put('a', new Uint8Array(), { durability: 'strict' })
  const { deleted }: { deleted: number } = await bytes.delete({ prefix: 'b' }, { durability: 'strict' })
  await bytes.txn().then(del('x')).commit({ durability: 'strict' })
  const key: Uint8Array | undefined = (await bytes.getEntry('a'))?.key
  const json: Store<'json'> = await open({
    storage: { file: 'x.plm' },
    values: 'json',
    onError: error => void error.code,
  })
  await json.put('a', { any: ['thing'] })
  const keys: string[] = (await json.keys({ prefix: 'a' }).collect()).entries
  try {
    await db.close()
  } catch (error) {
    if (error instanceof PalimpsestError && error.code === 'COMPACTED') void (error.requested ?? 0).toFixed()
  }
  void [now, raw, parsed, count, finished, key, keys, deleted]
  return then
}

export async function useModel(db: Store, revision: number): Promise<void> {
  const { id }: { id: number } = await db.grantLease(60_000)
  const { previous } = await db.put('leased', 'x', { lease: id, previous: true })
  const before: string | undefined = previous?.value
  await db.put('leased', undefined, { keepValue: true, keepLease: true })
  const taken: Entry<'bytes'>[] | undefined = (
    await db.delete({ prefix: 'l' }, { previous: true, values: 'bytes' })
  ).previous
  const left: number | undefined = (await db.lease(id))?.remaining
  const attached: string[] = await db.leaseKeys(id)
  const nested = await db
    .txn()
    .then(
      db
        .txn()
        .if(compare('a').lease.equals(0))
        .then(put('n', 'x', { previous: true })),
      get({ all: true }, { keysOnly: true, sort: { by: 'version', order: 'descending' } }),
    )
    .commit()
  for (const result of nested.results) {
    if (result.type === 'txn') void result.results.length
    if (result.type === 'keys') void result.entries.map(({ key, lease }) => key + (lease ?? 0))
    if (result.type === 'put') void result.previous?.value.length
  }
  const page = await db.range({ sort: { by: 'value' }, minModRevision: 3, withCount: true }).collect()
  const total: number | undefined = page.count
  for await (const entry of db.range({ keysOnly: true })) void entry.key.length
  const watch: Watch<'json'> = db.watch('a', { from: 2, previous: true, progress: 1000, values: 'json' })
  for await (const { events, revision } of watch) {
    for (const event of events) {
      if (event.type === 'put') void [event.value, event.lease?.toFixed()]
      else void event.value
      if (event.previous !== 'compacted') void event.previous?.value
    }
    if (revision > 5) break
  }
  const said: WatchEvent[] = []
  for await (const { events } of db.watch({ all: true }, { puts: false })) said.push(...events)
  const { revision: pinned }: { revision: number } = await db.pin('monday', 0, { expires: new Date() })
  const pins: Pin[] = await db.pins()
  const until: number | undefined = pins[0]?.expires
  await db.unpin('monday', { durability: 'strict' })
  await db.watch('a', { hold: { revisions: 100, bytes: 1 << 20 } }).return()
  void [pinned, until]
  await db.setThinning({ allFor: 1000, steps: [{ every: 1000, keepFor: 5000 }] })
  await db.setRetention([
    { prefix: 'a', newest: 5 },
    { prefix: new Uint8Array(), forAtLeast: 1000 },
  ])
  await open({ storage: 'memory', thinning: 'default', retention: [{ prefix: 'a' }] })
  await db.setQuota(undefined)
  await db.shrink()
  const { hash }: { hash: number } = await db.hashKv(revision)
  void [before, taken, left, attached, total, hash]
}

export async function useTime(db: Store): Promise<void> {
  await db.setAutoCompaction({ periodic: 3_600_000 })
  await db.setAutoCompaction({ periodic: 3_600_000, revisions: 1_000 })
  const at = new Date()
  const then: string | undefined = await db.get('a', { at })
  for await (const version of db.history('a', { keysOnly: true, keys: 'bytes' }))
    void (version.type === 'put' ? version.key.byteLength + version.version : version.modRevision)
  for await (const version of db.history('a', { reverse: true, limit: 5 }))
    if (version.type === 'put') void version.value.length
    else void version.modRevision
  for await (const { type, key, before, after } of db.diff(2, 0, { prefix: 'a' }))
    void [type === 'created', key.length, before?.value.length, after?.value.length]
  for await (const { after } of db.diff(2, 0, { keysOnly: true })) void after?.version
  const newest: number | undefined = await db.revisionAt(at)
  const written: Date | undefined = await db.timeOf(2)
  const { records, prefixes } = await db.dryRun(2, { depth: 2 })
  void [then, newest, written, records, prefixes[0]?.prefix.length]
  for (const holder of (await db.status()).holders) if (holder.kind === 'pin') void holder.name.length
}

export async function useCopies(db: Store, bytes: Uint8Array): Promise<void> {
  const controller = { aborted: false, addEventListener() {}, removeEventListener() {} }
  const copy: Export = db.export({ signal: controller })
  const chunks: Uint8Array[] = []
  for await (const chunk of copy) chunks.push(chunk)
  const again: Store = await importStore(chunks, { storage: 'memory', signal: controller })
  const json: Store<'json', 'bytes'> = await importStore(db.export(), {
    storage: { file: 'copy.plm' },
    values: 'json',
    keys: 'bytes',
  })
  const etcd: Store = await importEtcdSnapshot(bytes, { storage: 'memory', hashCheck: 'skipped' })
  void [copy.revision.toFixed(), again, json, etcd]
}
