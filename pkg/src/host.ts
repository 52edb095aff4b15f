/** A callback that the host will make. */
export interface Appointment {
  /** Lets it keep the program alive, where the host has such a notion. */
  ref(): void
  /** Lets the program end without it. */
  unref(): void
  /** Calls it off. */
  cancel(): void
}

/** What background work needs of the host's event loop. */
export interface Host {
  /** Calls back once the host has seen to its other work. */
  soon(callback: () => void): Appointment
  /** Calls back after some milliseconds. */
  later(callback: () => void, millis: number): Appointment
}
