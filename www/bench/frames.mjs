/**
 * How the inspector feels: how soon it is there, and how many frames it misses while a million revisions are compacted. Run by hand:
 * `node www/bench/frames.mjs [REVISIONS]`.
 */
import { launch } from '../../pkg/test/browser/chromium.mjs'
import { buildInspector, serveInspector } from '../inspector/serve.mjs'

const revisions = Number(process.argv[2] ?? 1_000_000)
/** What a frame takes on a screen of 60 a second, with a third for what is not the page's doing. */
const LATE_MS = (1000 / 60) * 1.33

/** When a fresh page showed its first table, in milliseconds since it was asked for. */
async function startTime(page, address) {
  await page.goto(address)
  return page.evaluate(
    () =>
      new Promise(resolve => {
        const look = () => {
          if (document.querySelector('tbody tr') !== null) resolve(performance.now())
          else requestAnimationFrame(look)
        }
        look()
      }),
  )
}

/** How much of a processor the page's main thread has used so far, in seconds: what others on the machine do is no part of it. */
async function mainThread(page) {
  const devtools = await page.context().newCDPSession(page)
  await devtools.send('Performance.enable', { timeDomain: 'threadTicks' })
  return async () => {
    const { metrics } = await devtools.send('Performance.getMetrics')
    return metrics.find(({ name }) => name === 'TaskDuration').value
  }
}

/** Times between frames until a function is stopped. */
function watchFrames(page) {
  return page.evaluate(() => {
    const times = []
    let last = performance.now()
    globalThis.frames = times
    const frame = now => {
      times.push(now - last)
      last = now
      globalThis.following = requestAnimationFrame(frame)
    }
    globalThis.following = requestAnimationFrame(frame)
  })
}

function framesSeen(page) {
  return page.evaluate(() => {
    cancelAnimationFrame(globalThis.following)
    return globalThis.frames.slice(1)
  })
}

function report(what, times, busy = 0) {
  const sorted = [...times].sort((a, b) => a - b)
  const at = part => (sorted[Math.floor((sorted.length - 1) * part)] ?? 0).toFixed(1)
  const late = times.filter(time => time > LATE_MS).length
  const total = times.reduce((sum, time) => sum + time, 0)
  console.log(
    `${what}: ${times.length} frames in ${(total / 1000).toFixed(1)} s, ${((times.length / total) * 1000).toFixed(1)} a second; ` +
      `half at most ${at(0.5)} ms, 99% ${at(0.99)} ms, longest ${at(1)} ms; ${late} late; the main thread worked ${((busy / total) * 1e6).toFixed(0)} ms a second`,
  )
}

await buildInspector()
const server = await serveInspector({ port: 0 })
const browser = await launch()
try {
  const page = await browser.newPage({ viewport: { width: 1280, height: 860 } })
  console.log(
    `first visit: the table is there after ${(await startTime(page, server.address)).toFixed(0)} ms`,
  )
  await page.getByText('2,523 keys at').waitFor()
  console.log(`again: after ${(await startTime(page, server.address)).toFixed(0)} ms`)
  const used = await mainThread(page)
  const measured = async (what, work) => {
    const before = await used()
    await watchFrames(page)
    await work()
    const times = await framesSeen(page)
    report(what, times, (await used()) - before)
  }
  await measured('at rest', () => page.waitForTimeout(3000))
  const load = page.getByRole('form', { name: 'Load' })
  await load.getByLabel('Puts a second').selectOption('Infinity')
  await load.getByLabel('Stop after').selectOption(String(revisions))
  await load.getByLabel('Over keys').selectOption('100000')
  const began = performance.now()
  await measured('while writing', async () => {
    await load.getByRole('button', { name: 'Write' }).click()
    const words = `${revisions.toLocaleString('en')} puts.`
    await page.getByTestId('written').getByText(words).waitFor({ timeout: 600_000 })
  })
  console.log(`${revisions} puts in ${((performance.now() - began) / 1000).toFixed(1)} s`)
  await page.waitForTimeout(1000)
  await measured('while compacting', async () => {
    await page.getByRole('button', { name: 'Compact', exact: true }).click()
    await page.getByTestId('compaction').getByText('Done.').waitFor({ timeout: 600_000 })
  })
  console.log(await page.getByTestId('compaction').innerText())
} finally {
  await browser.close()
  await server.close()
}
