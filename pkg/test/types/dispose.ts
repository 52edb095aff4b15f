import { open } from 'palimpsest-kv'

export async function use(): Promise<number> {
  await using db = await open({ storage: 'memory' })
  await using watch = db.watch('a')
  void watch.revision
  using snapshot = db.snapshot()
  return snapshot.count()
}
