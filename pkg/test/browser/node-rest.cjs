// Whatever else of Node the tests import and a browser has not. What is only names of files works, what is files does not.

let folders = 0

const known = {
  dirname: () => '',
  fileURLToPath: () => '',
  join: (...parts) => parts.join('/'),
  tmpdir: () => '',
  mkdtempSync: prefix => {
    folders += 1
    return `${prefix}${folders}`
  },
  rmSync: () => {},
}

const absent = name => () => {
  throw new Error(`${name} is Node's`)
}

globalThis.Buffer ??= class extends Uint8Array {
  static from(text) {
    return new this(new TextEncoder().encode(text))
  }
}

module.exports = new Proxy(known, { get: (known, name) => known[name] ?? absent(String(name)) })
