// How the inspector is built, and what makes it work without a network after the first visit.
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vite'

const WORKER = new URL('offline.js', import.meta.url)
const ALSO = ['/', '/icon.svg', '/manifest.webmanifest']

/** Adds a service worker that knows all files of the build, under a name of their contents. */
function offline() {
  return {
    name: 'offline',
    apply: 'build',
    generateBundle(_options, bundle) {
      const files = Object.keys(bundle).map(name => `/${name}`)
      const wanted = [...ALSO, ...files.filter(name => !name.endsWith('.html'))]
      const hash = createHash('sha256').update(readFileSync(WORKER))
      for (const part of Object.values(bundle)) hash.update(part.fileName).update(part.code ?? part.source)
      const version = hash.digest('hex').slice(0, 16)
      const source = readFileSync(WORKER, 'utf8')
        .replace("'VERSION'", JSON.stringify(version))
        .replace("'FILES'", JSON.stringify(JSON.stringify(wanted)))
      this.emitFile({ type: 'asset', fileName: 'sw.js', source })
    },
  }
}

export default defineConfig({
  root: fileURLToPath(new URL('.', import.meta.url)),
  build: {
    outDir: fileURLToPath(new URL('../../target/inspector', import.meta.url)),
    emptyOutDir: true,
    target: 'es2022',
    // The engine is one chunk, larger than what is warned of.
    chunkSizeWarningLimit: 2000,
    // On a busy machine a build takes longer, which is not worth a warning.
    rolldownOptions: { checks: { pluginTimings: false } },
  },
  worker: { format: 'es' },
  plugins: [offline()],
})
