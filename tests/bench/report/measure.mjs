// Runs measuring programs and gathers what they print: `name value` lines, or one JSON object of numbers.

import { spawn } from 'node:child_process'

/**
 * Runs one job and answers its measurements.
 * @param {{ command: string, args: string[] }} program
 * @param {string[]} args
 * @returns {Promise<Record<string, number>>}
 */
export function measure(program, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(program.command, [...program.args, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
    let [out, err] = ['', '']
    child.stdout.setEncoding('utf8').on('data', text => {
      out += text
    })
    child.stderr.setEncoding('utf8').on('data', text => {
      err += text
    })
    child.on('error', reject)
    child.on('close', (code, signal) => {
      if (code === 0) return resolve(parse(out))
      const said = err.trim().split('\n').slice(-5).join('\n')
      reject(new Error(`${program.command} ${args.join(' ')} ended with ${signal ?? code}: ${said}`))
    })
  })
}

function parse(text) {
  const json = text.trim()
  if (json.startsWith('{')) return numbersOf(JSON.parse(json), '')
  const measured = {}
  for (const line of json.split('\n')) {
    const [name, value, ...rest] = line.split(' ')
    if (!name || rest.length > 0 || !Number.isFinite(Number(value)))
      throw new Error(`unexpected line: ${line}`)
    measured[name] = Number(value)
  }
  return measured
}

/** All numbers in an object, those of inner objects under `outer.inner`. */
function numbersOf(object, prefix) {
  const numbers = {}
  for (const [name, value] of Object.entries(object)) {
    if (typeof value === 'number') numbers[prefix + name] = value
    else if (value && typeof value === 'object') Object.assign(numbers, numbersOf(value, `${prefix}${name}.`))
  }
  return numbers
}

/** The samples of all runs: column -> metric -> values. */
export class Samples {
  #columns = {}

  add(column, prefixes, measured) {
    this.#columns[column] ??= {}
    const metrics = this.#columns[column]
    for (const prefix of prefixes) {
      for (const [name, value] of Object.entries(measured)) {
        metrics[prefix + name] ??= []
        metrics[prefix + name].push(value)
      }
    }
  }

  /** column -> metric -> { median, min, max, runs } */
  summary() {
    const summarize = values => {
      const sorted = [...values].sort((a, b) => a - b)
      const [low, high] = [sorted[(sorted.length - 1) >> 1], sorted[sorted.length >> 1]]
      return { median: (low + high) / 2, min: sorted[0], max: sorted.at(-1), runs: sorted.length }
    }
    const each = (object, change) =>
      Object.fromEntries(Object.entries(object).map(([key, value]) => [key, change(value)]))
    return each(this.#columns, metrics => each(metrics, summarize))
  }
}
