// A worker that has the engine in its own thread.
import { open } from 'palimpsest-kv/real'

addEventListener('message', async ({ data: storage }) => {
  const db = await open({ name: 'app', storage })
  await db.put('a', '1')
  postMessage('opened')
})
