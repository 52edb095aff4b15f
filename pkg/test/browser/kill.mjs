// Chromium killed while its pages write, again and again, with one profile: what they were told is durable is there.
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { random } from '../support/ledger.mjs'
import { launchKillable } from './chromium.mjs'

/** The longest time that pages write before the kill, in milliseconds. */
const LONGEST = 250

/** Lets pages of a browser write for a while and kills it. Answers what each was told. */
async function killed(browser, { origin, plans, below }) {
  const said = plans.map(() => [])
  await Promise.all(
    plans.map(async (plan, at) => {
      const page = await browser.context.newPage()
      let hear
      const heard = new Promise(resolve => (hear = resolve))
      await page.exposeFunction('say', line => void hear(said[at].push(line)))
      await page.goto(origin)
      const asked = { ...plan, seed: below(2 ** 31) }
      await page.evaluate(async asked => {
        const { write } = await import('/kill-page.js')
        write({ ...asked, say: globalThis.say }).catch(error => globalThis.say(`failed ${error.stack}`))
      }, asked)
      // One in four is killed while it opens its store, or soon after.
      if (below(4) !== 0) await heard
    }),
  )
  await pause(below(LONGEST))
  await browser.kill()
  return said
}

function told(lines, word) {
  return lines.filter(line => line.startsWith(word)).map(line => Number(line.slice(word.length + 1)))
}

/** Looks at every store. */
async function verify(browser, { origin, plans, said }) {
  const page = await browser.context.newPage()
  await page.goto(origin)
  for (const [at, plan] of plans.entries()) {
    const failed = said[at].find(line => line.startsWith('failed'))
    if (failed !== undefined) throw new Error(`the writer of ${plan.storage}: ${failed}`)
    const asked = { ...plan, written: told(said[at], 'written'), compacted: told(said[at], 'compacted') }
    await page.evaluate(async asked => (await import('/kill-page.js')).verify(asked), asked)
  }
  await page.close()
}

/** One profile's kills. Answers how many writes had been acknowledged. */
async function lane({ profile, origin, plans, rounds, seed }) {
  const below = random(seed)
  mkdirSync(profile)
  let said = plans.map(() => [])
  let acknowledged = 0
  for (let round = 0; round <= rounds; round += 1) {
    const browser = await launchKillable(profile)
    try {
      await verify(browser, { origin, plans, said })
      if (round < rounds) said = await killed(browser, { origin, plans, below })
    } finally {
      await browser.kill()
    }
    if (round < rounds) acknowledged += said.flatMap(lines => told(lines, 'written')).length
  }
  return acknowledged
}

/**
 * Kills browsers `kills` times in all, on `lanes` profiles at the same time, while a page writes for each of the storages. The profile's
 * next browser checks what it finds. Answers how many writes had been acknowledged.
 */
export async function killTest({ folder, origin, storages, lanes, kills, seed }) {
  const plans = storages.map(storage => ({ storage, name: 'ledger' }))
  const sums = Array.from({ length: lanes }, (_, at) => {
    const profile = join(folder, `profile ${at}`)
    const rounds = Math.floor((kills + at) / lanes)
    return lane({ profile, origin, plans, rounds, seed: seed + at })
  })
  return (await Promise.all(sums)).reduce((sum, acknowledged) => sum + acknowledged, 0)
}
