// Makes of test files one folder that a browser can load.
import { writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { basename, join } from 'node:path'
import { root } from '../../scripts/tools.mjs'

const bundler = createRequire(join(root, 'package.json'))('esbuild')

/** What stands for Node's modules. */
const SHIMS = {
  'node:test': 'node-test.mjs',
  'node:assert/strict': 'node-assert.mjs',
  'node:timers/promises': 'node-timers.mjs',
}

/** The tests' own imports, resolved: the package itself by the conditions of a browser. */
function imports(here) {
  return {
    name: 'imports',
    setup({ onResolve, resolve }) {
      onResolve({ filter: /^node:/ }, ({ path }) => ({ path: join(here, SHIMS[path] ?? 'node-rest.cjs') }))
      onResolve({ filter: /^palimpsest-kv$/ }, ({ pluginData }) =>
        pluginData === 'real' ? undefined : { path: join(here, 'place.mjs') },
      )
      onResolve({ filter: /^palimpsest-kv\/real$/ }, ({ importer, kind }) =>
        resolve('palimpsest-kv', { importer, kind, resolveDir: here, pluginData: 'real' }),
      )
      onResolve({ filter: /^test-files$/ }, () => ({ path: join(here, 'test-files.mjs') }))
    },
  }
}

/**
 * Bundles the suite in an installation of the package.
 * @param {string} installed a folder with the package in node_modules and the tests in test
 * @param {string[]} files names of test files
 * @returns {Promise<string>} the folder to serve
 */
export async function bundleSuite(installed, files) {
  const here = join(installed, 'test', 'browser')
  const loaders = files.map(
    file => `  ${JSON.stringify(file)}: () => import(${JSON.stringify(`../${basename(file)}`)}),`,
  )
  writeFileSync(join(here, 'test-files.mjs'), `export const FILES = {\n${loaders.join('\n')}\n}\n`)
  const outdir = join(installed, 'served')
  await bundler.build({
    entryPoints: ['suite', 'kill-page', 'tab-page', 'package', 'slim', 'worker', 'owner'].map(name =>
      join(here, `${name}.mjs`),
    ),
    outdir,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'browser',
    conditions: ['browser', 'import'],
    define: {
      'process.env.PALIMPSEST_VECTORS': '""',
      'process.env.PALIMPSEST_SNAPSHOT': '""',
      'process.platform': '"browser"',
    },
    logLevel: 'warning',
    plugins: [imports(here)],
  })
  return outdir
}
