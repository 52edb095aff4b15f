/**
 * What this machine says of itself, of its processes and of their threads. Where it says nothing, that is an answer, too: what may be
 * running is taken for something that is.
 */
import * as fs from 'node:fs'
import * as os from 'node:os'

/** The name of this machine. */
export function hostName(): string {
  return os.hostname()
}

/** What a process or thread is known by, for `/proc`. */
type Task = number | 'self' | 'thread-self' | `${number}/task/${string}`

/** The state of a process or thread and the ticks from the kernel's start to its own. Only Linux says so. */
function statOf(task: Task): { state: string | undefined; ticks: string | undefined } | undefined {
  try {
    const stat = fs.readFileSync(`/proc/${task}/stat`, 'utf8')
    // The second field is the program's name in brackets and may hold anything; the start is the 22nd field.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return { state: fields[0], ticks: fields[19] }
  } catch {
    return undefined
  }
}

function linkOf(path: string): string | null {
  try {
    return fs.readlinkSync(path)
  } catch {
    return null
  }
}

/** Whether the numbers in `/proc` are those of this process: a new pid namespace may still see the folder of the old one. */
function isProcOurs(): boolean {
  return linkOf('/proc/self') === String(process.pid)
}

/** The kernel's boot, which no two kernels have in common; `null` where that is not known. */
export function boot(): string | null {
  try {
    return fs.readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  } catch {
    return null
  }
}

/** The pid namespace of this process, in which the numbers of processes mean something; `null` where that is not known. */
export function space(): string | null {
  return linkOf('/proc/self/ns/pid')
}

/** The start of a process: the kernel's boot and the ticks since then. Linux says both, other systems neither. */
export function startOf(pid: number): string | null {
  const ticks = isProcOurs() ? statOf(pid)?.ticks : undefined
  const booted = boot()
  return ticks === undefined || booted === null ? null : `${booted}:${ticks}`
}

/** Whether a process of this namespace is there. */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    // One that has ended is there until its parent takes note of it, which some never do.
    return !isProcOurs() || !['Z', 'X'].includes(statOf(pid)?.state ?? '')
  } catch (error) {
    // Not allowed to signal it: then it is there.
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** The calling thread: its number and the ticks from the kernel's start to its own. Only Linux says so. */
export function thread(): string | null {
  const id = isProcOurs() ? linkOf('/proc/thread-self')?.split('/').at(-1) : undefined
  const ticks = statOf('thread-self')?.ticks
  return id === undefined || ticks === undefined ? null : `${id}:${ticks}`
}

/** Whether a thread of a process that runs is there; `undefined` where that is not known. */
export function isThreadRunning(pid: number, name: string): boolean | undefined {
  // A process that can't be looked at is no sign of a thread that has ended.
  if (!isProcOurs() || statOf(pid) === undefined) return undefined
  const [id, ticks] = name.split(':')
  return statOf(`${pid}/task/${id}`)?.ticks === ticks
}
