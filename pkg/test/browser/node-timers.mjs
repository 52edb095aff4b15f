// What the tests use of `node:timers/promises`, for a browser.

export function setTimeout(millis, value) {
  return new Promise(resolve => globalThis.setTimeout(resolve, millis, value))
}

export function setImmediate() {
  const { port1, port2 } = new MessageChannel()
  return new Promise(resolve => {
    port1.onmessage = () => {
      port1.close()
      resolve()
    }
    port2.postMessage(undefined)
  })
}
