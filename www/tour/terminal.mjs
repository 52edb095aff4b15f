/**
 * What a person sees of long work: lines that stay, and on a terminal one live line below them. Piped, only the
 * lines that stay are written. It uses nothing but Node, since it runs before any package is installed.
 */
import { styleText } from 'node:util'

const TICK_MS = 100
const ESC = '\u001b'
const CLEAR_LINE = `\r${ESC}[2K`

/** Seconds since `start` (of `performance.now()`), as text. */
export function since(start) {
  return seconds(performance.now() - start)
}

/** Milliseconds as seconds with one decimal, or as minutes and seconds. */
export function seconds(ms) {
  const total = ms / 1000
  if (total < 99.95) return `${total.toFixed(1)} s`
  return `${Math.floor(total / 60)} min ${String(Math.floor(total % 60)).padStart(2, '0')} s`
}

/** Invariant: at most one live line is on the screen, and it is the last one. */
export class Terminal {
  #stream
  #timer
  #isDrawn = false
  /** What the live line tells, of one or several works at once. */
  #followed = new Set()

  /** @param {import('node:tty').WriteStream} stream where everything goes */
  constructor(stream) {
    this.#stream = stream
    this.isLive = stream.isTTY === true && process.env.TERM !== 'dumb' && process.env.CI === undefined
  }

  /** How many columns a line may take. */
  get columns() {
    return Math.min(this.#stream.columns ?? 80, 80)
  }

  /** `text` in a style of `util.styleText` where the terminal shows styles. */
  style(format, text) {
    return this.isLive && process.env.NO_COLOR === undefined ? styleText(format, text) : text
  }

  /** Writes a line that stays, above the live line. */
  line(text = '') {
    this.#clear()
    this.#stream.write(`${text}\n`)
  }

  /** Writes text as it came from elsewhere. */
  raw(text) {
    this.#clear()
    this.#stream.write(text.endsWith('\n') || text === '' ? text : `${text}\n`)
  }

  /** Draws the live line now; nothing when piped. */
  draw(text) {
    if (!this.isLive) return
    this.#stream.write(`${CLEAR_LINE}${cut(text, this.columns - 1)}`)
    this.#isDrawn = true
  }

  /** Keeps the live line drawn from `text()`, beside what else is followed, until `stop(text)`. */
  follow(text) {
    if (!this.isLive) return
    this.#followed.add(text)
    this.#timer ??= setInterval(() => this.#drawFollowed(), TICK_MS).unref()
    this.#drawFollowed()
  }

  /** Ends what `text` has told on the live line. */
  stop(text) {
    this.#followed.delete(text)
    if (this.#followed.size === 0) {
      clearInterval(this.#timer)
      this.#timer = undefined
    }
    this.#clear()
  }

  #drawFollowed() {
    this.draw([...this.#followed].map(text => text()).join('   |   '))
  }

  #clear() {
    if (this.#isDrawn) this.#stream.write(CLEAR_LINE)
    this.#isDrawn = false
  }
}

/** The first `columns` visible characters; styles take no room. */
function cut(text, columns) {
  const parts = text.split(new RegExp(`(${ESC}\\[[0-9;]*m)`))
  let left = columns
  return parts
    .map((part, at) => {
      if (at % 2 === 1) return part
      const shown = part.slice(0, left)
      left -= shown.length
      return shown
    })
    .join('')
}
