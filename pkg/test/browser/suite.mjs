// The package's tests in a thread of a browser: a page, or a dedicated worker, which this same module starts.
import { runGathered } from 'node:test'
import { place } from 'palimpsest-kv'
import { FILES } from 'test-files'
import { leftOut } from './left-out.mjs'

/** Runs the files. Answers what became of each test, and which names of tests that are left out no test has. */
export async function run({ thread, storage, durability, role, only }) {
  Object.assign(place, { storage, durability, role, run: Math.random().toString(36).slice(2) })
  globalThis.palimpsestIsElsewhere = thread === 'page' && storage !== 'memory'
  const left = leftOut({ thread, storage, durability })
  const outcomes = []
  const unknown = []
  for (const [file, load] of Object.entries(FILES)) {
    if (only.length > 0 && !only.includes(file)) continue
    await load()
    const tell = outcome => outcomes.push({ file, ...outcome })
    unknown.push(...(await runGathered(left[file] ?? [], tell)))
  }
  return { outcomes, unknown }
}

/** The same in a worker of this page. */
export function runInWorker(plan) {
  const worker = new Worker(import.meta.url, { type: 'module' })
  return new Promise((resolve, reject) => {
    worker.onmessage = ({ data }) => {
      worker.terminate()
      resolve(data)
    }
    worker.onerror = ({ message }) => reject(new Error(message))
    worker.postMessage(plan)
  })
}

if (typeof document === 'undefined') {
  addEventListener('message', async ({ data }) => {
    try {
      postMessage(await run(data))
    } catch (error) {
      postMessage({ outcomes: [{ file: 'suite', name: 'it runs', error: error.stack }], unknown: [] })
    }
  })
}
