import { PalimpsestError } from '../errors.js'

/** How long opening waits for another one to let go of the store, in milliseconds: a page that is reloaded does so within this time. */
const PATIENCE = 2000
/** The first pause between two tries; each is twice as long as the one before. */
const FIRST_PAUSE = 10
/** The longest pause. */
const LONGEST_PAUSE = 250
/** What the names of all locks begin with. */
const PREFIX = 'palimpsest-kv/'

/** Tries to have something for oneself alone; answers `undefined` if another one has it. */
export type Claim<T> = () => Promise<T | undefined>

/** Has something for oneself alone, as soon as whoever has it lets go. */
export async function claim<T>(tried: Claim<T>, name: string): Promise<T> {
  const end = performance.now() + PATIENCE
  for (let wait = FIRST_PAUSE; ; wait = Math.min(2 * wait, LONGEST_PAUSE)) {
    const claimed = await tried()
    if (claimed !== undefined) return claimed
    if (performance.now() + wait > end) throw locked(name)
    await new Promise(resolve => setTimeout(resolve, wait))
  }
}

/** A store that another one has, and does not share. */
export function locked(name: string): PalimpsestError {
  const holder = 'another tab or worker of this site'
  return new PalimpsestError('LOCKED', `the store ${name} is open in ${holder}`, { holder })
}

/** Has a lock of the browser's, which goes with its thread, and answers how to give it back; `undefined` if it is to be had at once and is not. */
export function take(name: string, options: LockOptions = {}): Promise<(() => void) | undefined> {
  return new Promise((resolve, reject) => {
    const held = (lock: Lock | null): Promise<void> | undefined => {
      if (lock === null) {
        resolve(undefined)
        return undefined
      }
      return new Promise(unlock => resolve(unlock))
    }
    navigator.locks.request(`${PREFIX}${name}`, options, held).catch(error => reject(refused(error)))
  })
}

/** Which of the locks whose names begin alike is had by whoever has another lock: the rest of its name. */
export async function heldBy(name: string, beginning: string): Promise<string | undefined> {
  const { held = [] } = await navigator.locks.query()
  const holder = held.find(lock => lock.name === `${PREFIX}${name}`)
  const prefix = `${PREFIX}${beginning}`
  const other = held.find(lock => lock.clientId === holder?.clientId && lock.name?.startsWith(prefix))
  return holder && other?.name?.slice(prefix.length)
}

function refused(error: Error): Error {
  if (error.name !== 'SecurityError') return error
  const words = 'the browser refuses storage here, as in a sandboxed frame or where a site may store nothing'
  return new PalimpsestError('UNSUPPORTED', `${words} (${error.message})`)
}

/** A lock, if it is free. */
export function lock(name: string): Claim<() => void> {
  return () => take(name, { ifAvailable: true })
}
