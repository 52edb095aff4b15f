/** Exports a store whose engine runs in this worker: a page that has its engine in a worker can't. */
import { type NamedStorage, open } from 'palimpsest-kv'

async function exported(storage: NamedStorage, name: string): Promise<Blob> {
  const db = await open({ storage, name })
  try {
    const chunks: BlobPart[] = []
    for await (const chunk of db.export()) chunks.push(chunk.slice() as Uint8Array<ArrayBuffer>)
    return new Blob(chunks)
  } finally {
    await db.close()
  }
}

async function answer({ data }: MessageEvent<{ storage: NamedStorage; name: string }>): Promise<void> {
  try {
    postMessage(await exported(data.storage, data.name))
  } catch (error) {
    postMessage({ message: (error as Error).message })
  }
}

addEventListener('message', event => void answer(event))
