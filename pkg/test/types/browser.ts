// What is imported where bundlers ask for what is for browsers.
// @ts-expect-error: there are no snapshots of etcd in browsers
import { importEtcdSnapshot, importStore, open } from 'palimpsest-kv'

export async function copy(): Promise<void> {
  const db = await open({ name: 'app', storage: 'auto' })
  const other = await importStore(db.export(), { storage: 'memory' })
  await other.close()
  void importEtcdSnapshot
}
