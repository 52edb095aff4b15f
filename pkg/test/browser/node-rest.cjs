// Whatever else of Node the tests import and a browser has not. The tests that use it are not run here.
const absent = name => () => {
  throw new Error(`${name} is Node's`)
}

const harmless = { dirname: () => '', fileURLToPath: () => '' }

module.exports = new Proxy(harmless, { get: (known, name) => known[name] ?? absent(String(name)) })
