/** The tour, chapter by chapter. It knows the store through the public interface of its npm package alone. */
import { del, open, PalimpsestError, put } from 'palimpsest-kv'
import { readAndWriteUntil } from './meanwhile.mjs'
import { prove, proveRelease } from './proof.mjs'
import { bar, millis, number, pages } from './text.mjs'
import { countObsolete, readReleases } from './truth.mjs'

const DATA = new URL('data/mime-db-history.ndjson', import.meta.url)
/** History is compacted to this release, counted from 1. */
const COMPACT_TO = 17
/** The largest release changes 1,795 entries, in one transaction. */
const MAX_TXN_OPS = 4096
/** Smaller than the default, so that there are chunks to be seen with so little data. */
const BATCH_LIMIT = 64
/** Values that are written anew in one transaction, when the freed pages are used again. */
const REWRITTEN_AT_ONCE = 40
/** Free pages to leave for the checkpoint that closing makes. */
const SPARE_PAGES = 12
/** An entry whose story shows what reading the past is good for. */
const EXAMPLE = 'text/javascript'

/**
 * Invariant: the release at index i was written by one transaction, at `revisions[i]`.
 * @typedef {object} Journey
 * @property {import('palimpsest-kv').Store<'json'>} db
 * @property {import('./truth.mjs').Release[]} releases
 * @property {number[]} revisions
 * @property {import('./terminal.mjs').Terminal} terminal
 */

/**
 * @param {import('./terminal.mjs').Terminal} terminal where it is told
 * @param {string} file where the store will lie; it must not exist
 * @returns what was found, in numbers
 */
export async function tour(terminal, file) {
  const releases = readReleases(DATA)
  introduce(terminal)
  const journey = { db: await openStore(file), releases, revisions: [], terminal }
  const written = await writeReleases(journey)
  const releasesVerified = await readThePast(journey)
  const compacted = await compactWhileServing(journey)
  await askForTheForgotten(journey)
  const { fileBytesBefore, fileBytesAfter } = await writeOnFreedPages(journey)
  await journey.db.close()
  const reopenedOk = await openAgain({ ...journey, db: await openStore(file) }, fileBytesAfter)
  const { longestStepMs, longestReadMs, ...removed } = compacted
  const times = { longestStepMs, longestReadMs }
  const sizes = { fileBytesBefore, fileBytesAfter }
  return {
    releases: releases.length,
    ...written,
    releasesVerified,
    ...removed,
    ...sizes,
    ...times,
    reopenedOk,
  }
}

/** @param {string} file */
function openStore(file) {
  return open({
    storage: { file },
    values: 'json',
    maxTxnOps: MAX_TXN_OPS,
    compactionBatchLimit: BATCH_LIMIT,
  })
}

function introduce(terminal) {
  terminal.line(terminal.style('bold', 'Palimpsest: a tour on real data'))
  terminal.line(`
A palimpsest is a manuscript that was scraped clean and written on again. This
store keeps every version of every key, so that you can read it as it was after
any write; when you no longer need the past, it scrapes it off and writes there
again. Everything said below is checked against the data while you watch.`)
}

function chapter(terminal, title) {
  terminal.line(`\n${terminal.style('bold', title)}`)
}

/** @param {Journey} journey */
async function writeReleases({ db, releases, revisions, terminal }) {
  chapter(terminal, `1  Write ${releases.length} releases of a database of media types`)
  let puts = 0
  let deletes = 0
  for (const release of releases) {
    terminal.draw(`   ${bar(revisions.length, releases.length)}  release ${release.name}`)
    const changes = [...release.puts].map(([key, value]) => put(key, value))
    const { revision } = await db
      .txn()
      .then(...changes, ...release.deletes.map(key => del(key)))
      .commit()
    revisions.push(revision)
    puts += release.puts.size
    deletes += release.deletes.length
  }
  await db.checkpoint()
  const status = await db.status()
  prove(status.liveKeys === releases.at(-1).contents.size, 'as many keys are alive as the last release has')
  prove(status.records === puts + deletes, 'every put and every delete is kept as a record')
  terminal.line(`   ${number(puts)} puts and ${deletes} deletes. Each release is one transaction, and each
   transaction makes one revision of the whole store: these are ${revisions[0]} to ${revisions.at(-1)}.
   ${number(status.liveKeys)} keys are alive; ${number(status.deadRecords)} records are kept only for the past.`)
  terminal.line(`   ${pages(status)}`)
  return { puts, deletes, liveKeys: status.liveKeys }
}

/** @param {Journey} journey */
async function readThePast({ db, releases, revisions, terminal }) {
  chapter(terminal, '2  Read the past')
  for (const [at, release] of releases.entries()) {
    terminal.draw(`   ${bar(at, releases.length)}  release ${release.name}`)
    await proveRelease(db, release, revisions[at])
  }
  terminal.line(`   All ${releases.length} releases read back, each of them exactly as it was published.`)
  for (const at of [0, releases.length - 1]) {
    const { extensions = ['none'] } = /** @type {any} */ (await db.get(EXAMPLE, { revision: revisions[at] }))
    const title = `${EXAMPLE} in release ${releases[at].name}`
    terminal.line(`   ${title.padEnd(34)} file extensions: ${extensions.join(', ')}`)
  }
  return releases.length
}

/** @param {Journey} journey */
async function compactWhileServing({ db, releases, revisions, terminal }) {
  const at = COMPACT_TO - 1
  chapter(terminal, `3  Forget what was before release ${releases[at].name}, while others read and write`)
  const job = await db.compact(revisions[at])
  const readable = releases.map((release, at) => ({ release, revision: revisions[at] })).slice(at)
  const [{ reads, writes }, steps] = await Promise.all([
    readAndWriteUntil(db, readable, job.done),
    follow(job, terminal),
  ])
  const { removed, pagesFreed } = await job.done
  prove(removed === countObsolete(releases, at), 'exactly the records that no revision needs were removed')
  prove(pagesFreed > 0, 'pages were freed')
  const status = await db.status()
  terminal.line(`   removed        ${number(removed)} records, as counted from the data beforehand
   freed          ${pagesFreed} pages more than the removal itself took
   background     ${steps} chunks; the longest step took ${millis(status.longestStepMs)}
   meanwhile      ${number(reads.count)} reads; the longest waited ${millis(reads.longestMs)}
                  ${number(writes.count)} durable writes; the longest waited ${millis(writes.longestMs)}`)
  terminal.line(`   ${pages(status)}`)
  return {
    compactedRevision: status.compacted,
    recordsRemoved: removed,
    pagesFreed,
    longestStepMs: status.longestStepMs,
    longestReadMs: reads.longestMs,
  }
}

/** Draws how far the compaction is, and counts the times that it got further. */
async function follow(job, terminal) {
  let steps = 0
  let before = 0
  for await (const { removed, total } of job.progress()) {
    if (removed > before) steps += 1
    before = removed
    terminal.draw(`   ${bar(removed, total)}  ${number(removed)} of ${number(total)} records`)
  }
  return steps
}

/** @param {Journey} journey */
async function askForTheForgotten({ db, releases, revisions, terminal }) {
  chapter(terminal, '4  Ask for what is forgotten')
  const [requested, compacted] = [revisions[COMPACT_TO - 2], revisions[COMPACT_TO - 1]]
  const error = await db.get(EXAMPLE, { revision: requested }).then(
    () => undefined,
    error => error,
  )
  prove(error instanceof PalimpsestError && error.code === 'COMPACTED', `revision ${requested} is refused`)
  prove(error.requested === requested && error.compacted === compacted, 'the error says what can be read')
  terminal.line(
    `   Reading release ${releases[COMPACT_TO - 2].name}, revision ${requested}, answers ${error.code}:`,
  )
  terminal.line(`   "${error.message}"`)
}

/**
 * Writes values anew for as long as there are free pages. They come back by a checkpoint first, and a few are left over
 * for the checkpoint after.
 * @param {Journey} journey
 */
async function writeOnFreedPages({ db, releases, terminal }) {
  chapter(terminal, '5  Write where the past was')
  await db.checkpoint()
  const before = await db.status()
  const newest = [...releases.at(-1).contents]
  let written = 0
  let status = before
  while (status.freePages > SPARE_PAGES) {
    const values = Array.from(
      { length: REWRITTEN_AT_ONCE },
      (_, at) => newest[(written + at) % newest.length],
    )
    await db
      .txn()
      .then(...values.map(([key, value]) => put(key, value)))
      .commit()
    written += values.length
    status = await db.status()
    prove(status.fileBytes === before.fileBytes, 'the file does not grow while there are free pages')
    terminal.draw(`   ${pages(status)}`)
  }
  prove(written > 0 && status.usedBytes > before.usedBytes, 'what was written took pages')
  const taken = (status.usedBytes - before.usedBytes) / status.pageBytes
  terminal.line(`   ${number(written)} values written anew. They took ${taken} of the free pages, and the file has
   not grown by a byte.`)
  terminal.line(`   ${pages(status)}`)
  return { fileBytesBefore: before.fileBytes, fileBytesAfter: status.fileBytes }
}

/** @param {Journey} journey */
async function openAgain({ db, releases, revisions, terminal }, fileBytes) {
  chapter(terminal, '6  Close, open again, compare again')
  const start = performance.now()
  const report = await db.check()
  const left = releases.map((release, at) => ({ release, revision: revisions[at] })).slice(COMPACT_TO - 1)
  for (const { release, revision } of left) await proveRelease(db, release, revision)
  await proveRelease(db, releases.at(-1), 0)
  const status = await db.status()
  prove(status.compacted === revisions[COMPACT_TO - 1], 'the store remembers what is forgotten')
  prove(status.fileBytes === fileBytes, 'closing and opening did not change the size of the file')
  await db.close()
  const names = left.map(({ release }) => release.name).join(', ')
  terminal.line(`   Releases ${names} are right, and so is the newest state.
   All ${number(report.records)} records and ${report.reachablePages} pages are sound (${millis(performance.now() - start)}).`)
  return true
}
