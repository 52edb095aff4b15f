/** Builds the inspector and serves it to this machine: `node www/inspector/serve.mjs`. */
import { fileURLToPath } from 'node:url'
import { build, preview } from 'vite'

const CONFIG = fileURLToPath(new URL('vite.config.mjs', import.meta.url))
const ROOT = fileURLToPath(new URL('.', import.meta.url))
const HOST = '127.0.0.1'
/** The first port that is tried; if it is taken, the next ones are. */
const PORT = 4173

/** Builds the page into target/inspector, which takes about a second. */
export async function buildInspector() {
  await build({ configFile: CONFIG, root: ROOT, logLevel: 'warn' })
}

/**
 * Serves what was built. Answers where, and how to end it.
 * @param {{ port?: number, hosts?: string[] }} options `hosts` may be asked for besides localhost
 */
export async function serveInspector({ port = PORT, hosts = [] } = {}) {
  const server = await preview({
    configFile: CONFIG,
    root: ROOT,
    logLevel: 'warn',
    preview: { host: HOST, port, open: false, allowedHosts: hosts },
  })
  // By its name and not by its number: browsers store things for both, but show only one as safe everywhere.
  const { port: found } = /** @type {import('node:net').AddressInfo} */ (server.httpServer.address())
  return { address: `http://localhost:${found}/`, close: () => server.close() }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await buildInspector()
  const { address } = await serveInspector()
  console.log(`The inspector is at ${address} (Ctrl-C ends it).`)
}
