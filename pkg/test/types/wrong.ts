import { importEtcdSnapshot, importStore, open } from 'palimpsest-kv'

export async function misuse(): Promise<void> {
  const db = await open({ storage: 'memory' })
  // @ts-expect-error: a text store takes texts
  await db.put('a', 5)
  // @ts-expect-error: a key is a text or bytes
  await db.get(5)
  // @ts-expect-error: there is no such option
  await db.get('a', { revison: 5 })
  // @ts-expect-error: there is no such durability
  await db.put('a', '5', { durability: 'eager' })
  // @ts-expect-error: all keys must be meant
  await db.delete({ all: false })
  // @ts-expect-error: a version is a number
  db.compare('a').version.equals('1')
  // @ts-expect-error: bytes are not a text
  const text: string | undefined = await db.get('a', { values: 'bytes' })
  // @ts-expect-error: where the bytes are must be said
  await open({})
  // @ts-expect-error: there is no such codec
  await open({ storage: 'memory', values: 'xml' })
  // @ts-expect-error: JSON's values must be looked at first
  const length: number = (await db.get('a', { values: 'json' })).length
  // @ts-expect-error: without a value it must be said that the old one is kept
  await db.put('a', undefined, { keepValue: false })
  // @ts-expect-error: there is nothing by which to sort
  db.range({ sort: { by: 'size' } })
  for await (const entry of db.range({ keysOnly: true })) {
    // @ts-expect-error: values were left out
    void entry.value
  }
  for await (const { events } of db.watch('a', { previous: true })) {
    // @ts-expect-error: what was there before may be compacted, or nothing
    void events[0]?.previous.value
  }
  for await (const version of db.history('a')) {
    // @ts-expect-error: a delete has no value
    void version.value.length
  }
  for await (const { before } of db.diff(1, 2)) {
    // @ts-expect-error: there may have been nothing
    void before.value
  }
  // @ts-expect-error: a time is a Date
  await db.get('a', { at: 1_700_000_000_000 })
  // @ts-expect-error: a policy is one of the two
  await db.setAutoCompaction({ hours: 5 })
  // @ts-expect-error: the name comes first
  await db.pin(5)
  // @ts-expect-error: a hold is bounded by numbers
  db.watch('a', { hold: true })
  // @ts-expect-error: a lease's number is a number
  await db.keepAlive('7')
  // @ts-expect-error: a text is no bytes
  await importStore('bytes', { storage: 'memory' })
  // @ts-expect-error: where the new store is to be must be said
  await importStore(new Uint8Array(), {})
  // @ts-expect-error: a check is one of the two
  await importEtcdSnapshot(new Uint8Array(), { storage: 'memory', hashCheck: 'never' })
  void [text, length]
}
