/** Numbers as a person reads them. */

const integers = new Intl.NumberFormat('en')

/** A whole number with commas. */
export function count(value: number): string {
  return integers.format(Math.round(value))
}

/** A number with its noun, in the singular or the plural. */
export function counted(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`
}

/** Bytes in the largest unit of which there is at least one. */
export function size(bytes: number): string {
  if (bytes < 1024) return counted(bytes, 'byte')
  if (bytes < 1024 * 1024) return `${(bytes / 1024).toFixed(bytes < 10_240 ? 1 : 0)} KiB`
  return `${(bytes / 1024 / 1024).toFixed(bytes < 104_857_600 ? 1 : 0)} MiB`
}

/** Milliseconds, as precisely as they matter. */
export function millis(ms: number): string {
  return ms < 10 ? `${ms.toFixed(1)} ms` : `${count(ms)} ms`
}
