/**
 * Debian's etcd, for the comparison with it: unpacked below `target`, not installed, so that this needs no superuser and starts no
 * service. Run as a program, it makes it so.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ROOT } from './exec.mjs'

const FOLDER = join(ROOT, 'target', 'tools', 'etcd')

/** The program, if it is unpacked. */
export const ETCD_UNPACKED = join(FOLDER, 'usr', 'bin', 'etcd')

/** The program to run: ours, or the one that is installed. */
export function etcdProgram() {
  return existsSync(ETCD_UNPACKED) ? ETCD_UNPACKED : 'etcd'
}

/** Whether a program runs and succeeds; what it prints is shown. */
function runs(program, ...args) {
  return spawnSync(program, args, { cwd: FOLDER, stdio: 'inherit' }).status === 0
}

function unpack() {
  rmSync(FOLDER, { recursive: true, force: true })
  mkdirSync(FOLDER, { recursive: true })
  const download = () => runs('apt-get', 'download', 'etcd-server')
  // A new machine has no lists of packages, or old ones.
  const isDownloaded = download() || (runs('apt-get', 'update') && download())
  const file = readdirSync(FOLDER).find(name => name.endsWith('.deb'))
  if (!isDownloaded || file === undefined || !runs('dpkg-deb', '-x', file, '.')) {
    console.error(
      'etcd can not be fetched with apt-get. Put etcd 3.4 or newer into the PATH, then try again.',
    )
    return 1
  }
  rmSync(join(FOLDER, file))
  return 0
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.exitCode = unpack()
