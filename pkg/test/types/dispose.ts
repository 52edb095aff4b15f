import { open } from 'palimpsest-kv'

export async function use(): Promise<number> {
  await using db = await open({ storage: 'memory' })
  using snapshot = db.snapshot()
  return snapshot.count()
}
