// What the tests use of `node:test`, for a browser: tests are gathered, and run one after the other when they are asked for.

const gathered = []

/** A test. Options are for Node. */
export function test(name, ...rest) {
  gathered.push({ name, run: rest.at(-1) })
}

class Context {
  #afters = []

  constructor(name, left, outcome) {
    this.name = name
    this.left = left
    this.outcome = outcome
  }

  after(work) {
    this.#afters.unshift(work)
  }

  /** A test within this one. Its failure is this one's. */
  async test(name, ...rest) {
    const outcome = await runOne({ name: `${this.name} > ${name}`, run: rest.at(-1) }, this.left)
    this.outcome.error ??= outcome.error && `${name}: ${outcome.error}`
  }

  async end() {
    for (const work of this.#afters) await work()
  }
}

/** Names that a test has had. */
const names = new Set()

async function runOne({ name, run }, left) {
  const outcome = { name, error: undefined }
  names.add(name)
  if (left.includes(name)) return outcome
  const context = new Context(name, left, outcome)
  try {
    await run(context)
  } catch (error) {
    outcome.error ??= error?.stack ?? String(error)
  }
  try {
    await context.end()
  } catch (error) {
    outcome.error ??= `after the test: ${error?.stack ?? error}`
  }
  return outcome
}

function late(millis) {
  return new Promise(resolve => setTimeout(() => resolve({ error: `not over after ${millis} ms` }), millis))
}

/** Runs the tests that a file has, once it is imported, but those in `left`. Tells of each as it ends. Answers the names that no test has. */
export async function runGathered(left, tell) {
  names.clear()
  for (const one of gathered.splice(0)) {
    const began = performance.now()
    const { error } = await Promise.race([runOne(one, left), late(20_000)])
    if (!left.includes(one.name)) tell({ name: one.name, error, ms: performance.now() - began })
  }
  return left.filter(name => !names.has(name))
}
