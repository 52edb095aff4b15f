// Packs the package and installs the tarball as a user would.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { output, pkg } from '../scripts/tools.mjs'

const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm'

/** Packs what is built into a folder. Answers the tarball's path. */
export function pack(folder) {
  const [packed] = JSON.parse(output(npm, ['pack', '--json', '--pack-destination', folder, pkg]))
  return join(folder, packed.filename)
}

/** Installs the tarball into a folder of its own. */
export function install(folder, tarball) {
  mkdirSync(folder)
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'user', private: true }))
  output(npm, ['install', '--offline', '--no-audit', '--no-fund', '--prefix', folder, tarball])
}
