import type { Appointment, Host } from './host.js'

/** Node's event loop. */
export const nodeHost: Host = {
  soon(callback: () => void): Appointment {
    const immediate = setImmediate(callback)
    return {
      ref: () => immediate.ref(),
      unref: () => immediate.unref(),
      cancel: () => clearImmediate(immediate),
    }
  },
  later(callback: () => void, millis: number): Appointment {
    const timer = setTimeout(callback, millis)
    return { ref: () => timer.ref(), unref: () => timer.unref(), cancel: () => clearTimeout(timer) }
  },
}
