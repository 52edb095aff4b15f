// What is measured, in whatever thread this is loaded. Every job answers numbers by name.

import { open } from 'palimpsest-kv'
import { ENGINES, ours } from './engines.mjs'

const VALUE_BYTES = 100
/** Keys of one batch. */
const BATCH = 1000

const keyOf = number => `k${String(number).padStart(15, '0')}`

/** Values that are not all alike. */
function bytesOf(number, bytes = VALUE_BYTES) {
  const value = new Uint8Array(bytes)
  for (let at = 0; at < bytes; at += 1) value[at] = number * 31 + at * 7
  return value
}

/** Numbers below a bound that look random and are the same in every run. */
function numbersBelow(bound, count) {
  let state = 0x9e3779b9
  return Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * bound)
  })
}

function batches(keys) {
  const all = []
  for (let first = 0; first < keys; first += BATCH) {
    const size = Math.min(BATCH, keys - first)
    all.push(Array.from({ length: size }, (_, at) => [keyOf(first + at), bytesOf(first + at)]))
  }
  return all
}

async function timed(work) {
  const began = performance.now()
  await work()
  return performance.now() - began
}

function check(value, number) {
  if (value?.length !== VALUE_BYTES || value[3] !== bytesOf(number)[3])
    throw new Error(`wrong value of ${keyOf(number)}`)
}

function median(values) {
  return [...values].sort((a, b) => a - b)[values.length >> 1]
}

/** Loads a store by batches and reads it at random, one get at a time. */
async function loadAndGet({ engine, name, keys, gets }) {
  const store = await ENGINES[engine](name)
  const answer = {}
  const all = batches(keys)
  const wanted = numbersBelow(keys, gets)
  const loading = await timed(async () => {
    for (const batch of all) await store.putBatch(batch)
    await store.settle()
  })
  answer.batched_put_per_s = keys / (loading / 1000)
  for (const number of wanted.slice(0, gets / 10)) check(await store.get(keyOf(number)), number)
  const getting = await timed(async () => {
    for (const number of wanted) await store.get(keyOf(number))
  })
  answer.get_awaited_per_s = gets / (getting / 1000)
  answer.get_in_thread_per_s = answer.get_awaited_per_s
  if (store.getSync !== undefined && typeof document === 'undefined') {
    for (const number of wanted) check(store.getSync(keyOf(number)), number)
    const repeated = Array.from({ length: 10 }, () => wanted.map(keyOf)).flat()
    const sync = await timed(() => {
      for (const key of repeated) store.getSync(key)
    })
    answer.get_in_thread_per_s = repeated.length / (sync / 1000)
  }
  await store.close()
  return answer
}

/** Strict puts one by one, each awaited until it is on the disk. */
async function strictPuts({ storage, name, commits }) {
  const { db, close } = await ours(storage, { durability: 'strict' })(name)
  const times = []
  for (let number = 0; number < commits; number += 1)
    times.push(await timed(() => db.put(keyOf(number), bytesOf(number))))
  await close()
  return { strict_put_ms: median(times) }
}

/** What one strict transaction of IndexedDB costs, in which a value of 4 KiB is put. */
async function rawStrict({ name, commits }) {
  const db = await new Promise((resolve, reject) => {
    const request = indexedDB.open(name, 1)
    request.onupgradeneeded = () => request.result.createObjectStore('kv')
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error)
  })
  const times = []
  for (let number = 0; number < commits; number += 1) {
    const value = bytesOf(number, 4096)
    times.push(
      await timed(
        () =>
          new Promise((resolve, reject) => {
            const transaction = db.transaction('kv', 'readwrite', { durability: 'strict' })
            transaction.objectStore('kv').put(value, number)
            transaction.oncomplete = resolve
            transaction.onabort = () => reject(transaction.error)
          }),
      ),
    )
  }
  db.close()
  return { strict_put_ms: median(times) }
}

/** What the private file system allows: 4 KiB are written over and synced, which is what a commit of one put does. */
async function rawOpfs({ name, commits }) {
  const folder = await navigator.storage.getDirectory()
  const file = await (await folder.getFileHandle(name, { create: true })).createSyncAccessHandle()
  file.write(new Uint8Array(16 * 4096), { at: 0 })
  file.flush()
  const times = []
  for (let number = 0; number < commits; number += 1) {
    const began = performance.now()
    file.write(bytesOf(number, 4096), { at: (number % 16) * 4096 })
    file.flush()
    times.push(performance.now() - began)
  }
  file.close()
  return { strict_put_ms: median(times) }
}

/** Opens a store of so many bytes of keys and values; the first time it is made. */
async function openLarge({ storage, name, bytes }) {
  const keys = Math.ceil(bytes / (16 + VALUE_BYTES))
  const make = ours(storage)
  const made = await make(name)
  if ((await made.db.count()) === 0) for (const batch of batches(keys)) await made.putBatch(batch)
  await made.close()
  let opened
  const opening = await timed(async () => {
    opened = await make(name)
  })
  const { fileBytes } = await opened.db.status()
  check(await opened.get(keyOf(keys - 1)), keys - 1)
  await opened.close()
  return { open_ms: opening, opened_bytes: fileBytes }
}

/** The times between frames, and tasks of more than 50 ms, while something is done. */
async function framesWhile(work) {
  const gaps = []
  let [last, isOver, longTasks] = [undefined, false, 0]
  const frame = now => {
    if (last !== undefined) gaps.push(now - last)
    last = now
    if (!isOver) requestAnimationFrame(frame)
  }
  const observer = new PerformanceObserver(list => {
    longTasks += list.getEntries().length
  })
  observer.observe({ entryTypes: ['longtask'] })
  requestAnimationFrame(frame)
  await work()
  isOver = true
  observer.disconnect()
  const frameMs = median(gaps)
  const missed = gaps.reduce((sum, gap) => sum + Math.max(0, Math.round(gap / frameMs) - 1), 0)
  return {
    frames: gaps.length,
    longest_frame_ms: Math.max(0, ...gaps),
    missed_frames: missed,
    long_tasks: longTasks,
  }
}

const pause = ms => new Promise(resolve => setTimeout(resolve, ms))

/** A page that animates compacts a store in memory in its own thread; and the same time without that, to compare with. */
export async function compactWhileAnimating({ revisions }) {
  const db = await open({ storage: 'memory', values: 'bytes', compactionPause: 0 })
  const keys = revisions / 10
  for (let revision = 0; revision < revisions; revision += BATCH) {
    await Promise.all(
      Array.from({ length: BATCH }, (_, at) => db.put(keyOf((revision + at) % keys), bytesOf(revision))),
    )
    await pause(0)
  }
  let took = 0
  const before = (await db.status()).longestStepMs
  const busy = await framesWhile(async () => {
    took = await timed(async () => await (await db.compact(db.revision)).done)
  })
  const { longestStepMs, records } = await db.status()
  await db.close()
  if (records > keys) throw new Error(`${records} records are left of ${keys} keys`)
  const idle = await framesWhile(() => pause(took))
  return {
    compaction_ms: took,
    compaction_longest_step_ms: longestStepMs,
    loading_longest_step_ms: before,
    ...Object.fromEntries(Object.entries(busy).map(([what, value]) => [`compacting_${what}`, value])),
    ...Object.fromEntries(Object.entries(idle).map(([what, value]) => [`idle_${what}`, value])),
  }
}

/** All jobs, by name. */
export const JOBS = { loadAndGet, strictPuts, rawStrict, rawOpfs, openLarge, compactWhileAnimating }
