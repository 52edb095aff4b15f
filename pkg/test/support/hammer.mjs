// A program that opens the store, puts one key and closes it, again and again, to be met by another one: node hammer.mjs FILE SECONDS
//
// It says what the engine's own `writer hammer` says: `7 key`, the key was put in revision 7; `locked: ...`, another has the store.
import { writeSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { open } from 'palimpsest-kv'

const [file, seconds] = process.argv.slice(2)
const say = line => writeSync(1, `${line}\n`)

await (await open({ storage: 'memory' })).close()
const end = performance.now() + Number(seconds) * 1000
for (let number = 1; performance.now() < end; number += 1) {
  try {
    const db = await open({ storage: { file } })
    const key = `node-${process.pid}-${number}`
    const { revision } = await db.put(key, '')
    await db.close()
    say(`${revision} ${key}`)
  } catch (error) {
    if (error.code !== 'LOCKED') throw error
    say(`locked: ${error.holder}`)
  }
  // The other one gets its chance.
  await pause(1)
}
