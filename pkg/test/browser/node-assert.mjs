// What the tests use of `node:assert/strict`, for a browser.

class AssertionError extends Error {}

function fails(message, words) {
  if (message instanceof Error) throw message
  throw new AssertionError(message === undefined ? words : `${message}: ${words}`)
}

/** A value in words; all that JSON leaves out is in them. */
function show(value) {
  const replaced = (_, inner) => {
    if (inner instanceof Uint8Array) return `bytes ${[...inner]}`
    if (inner instanceof Error) return `${inner.name} ${inner.message}`
    if (typeof inner === 'object' || typeof inner === 'string') return inner
    return String(inner)
  }
  return JSON.stringify(value, replaced)
}

const isObject = value => typeof value === 'object' && value !== null
const tag = value => Object.prototype.toString.call(value)

function isSameObject(one, other, pairs) {
  // What crosses from a worker is made by another realm's classes, but has the same tag.
  if (tag(one) !== tag(other)) return false
  if (pairs.some(([left, right]) => left === one && right === other)) return true
  const deeper = [...pairs, [one, other]]
  if (one instanceof Map || one instanceof Set) return isSame([...one], [...other], deeper)
  if (one instanceof Error && (one.name !== other.name || one.message !== other.message)) return false
  const keys = Object.keys(one)
  if (keys.length !== Object.keys(other).length) return false
  return keys.every(key => Object.hasOwn(other, key) && isSame(one[key], other[key], deeper))
}

function isSame(one, other, pairs = []) {
  if (isObject(one) && isObject(other)) return isSameObject(one, other, pairs)
  return Object.is(one, other)
}

/** Whether an error is what an assertion expects: of a class, with some properties, matching a pattern, or accepted by a function. */
function isExpected(error, expected) {
  if (expected === undefined) return true
  if (expected instanceof RegExp) return expected.test(String(error))
  if (typeof expected === 'function')
    return expected.prototype instanceof Error || expected === Error
      ? error instanceof expected
      : expected(error)
  return Object.entries(expected).every(([name, value]) =>
    value instanceof RegExp ? value.test(error[name]) : isSame(error[name], value),
  )
}

async function rejects(call, expected, message) {
  let error
  try {
    await (typeof call === 'function' ? call() : call)
  } catch (thrown) {
    error = { thrown }
  }
  if (error === undefined) fails(message, 'it was not rejected')
  if (!isExpected(error.thrown, expected))
    fails(message, `rejected with ${error.thrown?.stack}, not as ${show(expected)}`)
}

function throws(call, expected, message) {
  let error
  try {
    call()
  } catch (thrown) {
    error = { thrown }
  }
  if (error === undefined) fails(message, 'it did not throw')
  if (!isExpected(error.thrown, expected))
    fails(message, `threw ${error.thrown?.stack}, not as ${show(expected)}`)
}

function ok(value, message) {
  if (!value) fails(message, `${show(value)} is not true`)
}

export default Object.assign(ok, {
  AssertionError,
  ok,
  rejects,
  throws,
  fail: message => fails(message, 'it must not be reached'),
  match: (text, pattern, message) =>
    pattern.test(text) || fails(message, `${show(text)} does not match ${pattern}`),
  equal: (one, other, message) =>
    Object.is(one, other) || fails(message, `${show(one)} is not ${show(other)}`),
  notEqual: (one, other, message) => !Object.is(one, other) || fails(message, `it is ${show(other)}`),
  deepEqual: (one, other, message) =>
    isSame(one, other) || fails(message, `${show(one)} is not ${show(other)}`),
})
