import type { Appointment, Host } from '../host.js'

/** The newer way to the event loop, which not all browsers have. */
interface Scheduler {
  postTask(callback: () => void, options: { signal: AbortSignal }): Promise<void>
}

const scheduler = (globalThis as { scheduler?: Partial<Scheduler> }).scheduler

/** No page waits for its stores before it ends. */
function appointment(cancel: () => void): Appointment {
  return { ref: () => {}, unref: () => {}, cancel }
}

function posted({ postTask }: Scheduler, callback: () => void): Appointment {
  const abort = new AbortController()
  // What it rejects with is that it was called off; the callback itself does not throw.
  postTask.call(scheduler, callback, { signal: abort.signal }).catch(() => {})
  return appointment(() => abort.abort())
}

/** Timers can't be used: browsers let them wait for at least four milliseconds. */
function messaged(callback: () => void): Appointment {
  const { port1, port2 } = new MessageChannel()
  const end = () => port1.close()
  port1.onmessage = () => {
    end()
    callback()
  }
  port2.postMessage(undefined)
  return appointment(end)
}

/** A browser's event loop. */
export const browserHost: Host = {
  soon(callback: () => void): Appointment {
    return scheduler?.postTask === undefined ? messaged(callback) : posted(scheduler as Scheduler, callback)
  },
  later(callback: () => void, millis: number): Appointment {
    const timer = setTimeout(callback, millis)
    return appointment(() => clearTimeout(timer))
  },
}
