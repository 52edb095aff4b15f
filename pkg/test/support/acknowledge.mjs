// A program that writes the ledger to a file without end and says what was acknowledged, to be killed: node acknowledge.mjs FILE SEED
//
// It says `ready` when everything is loaded, and opens the store when it hears something. `written 7`: revision 7 is durable;
// `compacted 5`: nothing below revision 5 can be read any more.
import { writeSync } from 'node:fs'
import { open } from 'palimpsest-kv'
import { random, write } from './ledger.mjs'

const [file, seed] = process.argv.slice(2)
const below = random(Number(seed))

/** Written at once, so that nothing that was said is lost with the process. */
const say = line => writeSync(1, `${line}\n`)

/** Several writes in one turn of the event loop, the strict ones of which are acknowledged together. */
function writes(db) {
  const all = []
  for (let count = 1 + below(8); count > 0; count -= 1) {
    if (below(6) === 0) all.push(write(db, { durability: 'relaxed' }))
    else all.push(write(db).then(revision => say(`written ${revision}`)))
  }
  return Promise.all(all)
}

async function compaction(db) {
  try {
    say(`compacted ${(await db.compact(Math.max(0, db.revision - below(60)))).revision}`)
  } catch (error) {
    if (error.code !== 'COMPACTED') throw error
  }
}

await (await open({ storage: 'memory' })).close()
say('ready')
await new Promise(resolve => process.stdin.once('data', resolve))
const db = await open({ storage: { file }, flushInterval: 2, compactionBatchLimit: 20, compactionPause: 0 })
while (true) {
  const waiting = writes(db)
  const choice = below(12)
  if (choice === 0) await compaction(db)
  if (choice === 1) await db.checkpoint()
  await waiting
}
