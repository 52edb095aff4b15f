// What a store in a page's own thread leaves of that thread to the page.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { launch } from './chromium.mjs'

const ORIGIN = process.env.PALIMPSEST_ORIGIN

let browser
before(async () => {
  browser = await launch()
})
after(() => browser.close())

/** Compacts a store in memory while the page animates. Answers how far the compaction was at each frame, and what the store says. */
async function compactedWhileAnimating({ revisions, keys }) {
  const { open } = await import('/package.js')
  const db = await open({ storage: 'memory' })
  for (let written = 0; written < revisions; written += 1000) {
    const turn = Array.from({ length: 1000 }, (_, at) =>
      db.put(`key/${(written + at) % keys}`, 'x'.repeat(100)),
    )
    await Promise.all(turn)
  }
  const job = await db.compact(db.revision)
  let isDone = false
  const done = job.done.then(() => {
    isDone = true
  })
  const seen = []
  const frame = () => {
    seen.push(job.status().removed)
    if (!isDone) requestAnimationFrame(frame)
  }
  requestAnimationFrame(frame)
  await done
  const { longestStepMs, records } = await db.status()
  await db.close()
  return { seen, longestStepMs, records }
}

test('a page draws frames between the steps of a compaction in its own thread', async () => {
  const page = await browser.newPage()
  await page.goto(ORIGIN)
  const [revisions, keys] = [60_000, 6000]
  const { seen, longestStepMs, records } = await page.evaluate(compactedWhileAnimating, { revisions, keys })
  assert.equal(records, keys, 'all that was dead is removed')
  const steps = new Set(seen).size
  assert.ok(steps >= 10, `the compaction was in ${steps} states when ${seen.length} frames were drawn`)
  // A step takes 2 ms, and is interrupted where other programs want the processor: what it may take is for benchmarks.
  assert.ok(longestStepMs > 0 && longestStepMs < 100, `the longest step took ${longestStepMs} ms`)
})
