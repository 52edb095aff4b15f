/** How the tour words and draws numbers. */

const BAR_CELLS = 30
const FULL = '█'
const EMPTY = '░'

const grouped = new Intl.NumberFormat('en')

/** A whole number with its thousands grouped. */
export function number(value) {
  return grouped.format(value)
}

/** Milliseconds with two decimals. */
export function millis(value) {
  return `${value.toFixed(2)} ms`
}

/** A bar of which `done` of `total` is filled. */
export function bar(done, total) {
  const cells = total === 0 ? BAR_CELLS : Math.round((BAR_CELLS * done) / total)
  return FULL.repeat(cells) + EMPTY.repeat(BAR_CELLS - cells)
}

/** The store's pages in one line: a bar of those in use, and how many there are of each kind. */
export function pages({ usedBytes, pageBytes, fileBytes, freePages }) {
  const used = usedBytes / pageBytes
  const size = `${number(fileBytes / 1024)} KiB`
  return `file ${size.padStart(9)}  ${bar(used, used + freePages)}  ${used} used, ${freePages} free`
}
