/**
 * Debian's Chromium and its driver, for the tests in a browser. Run as a program, it installs them, which needs a superuser: a browser
 * needs so many libraries that it can't well be unpacked beside the project.
 */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** Where the programs are. The variables are those that test runners know. */
export const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium'
export const CHROMEDRIVER = process.env.CHROMEDRIVER ?? '/usr/bin/chromedriver'

function runs(...args) {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  return spawnSync('apt-get', args, { stdio: 'inherit', env }).status === 0
}

function install() {
  const packages = ['install', '--yes', '--no-install-recommends', 'chromium', 'chromium-driver']
  // A new machine has no lists of packages, or old ones.
  if (runs(...packages) || (runs('update') && runs(...packages))) return 0
  console.error(
    'Chromium can not be installed with apt-get. As a superuser: apt-get install chromium chromium-driver',
  )
  console.error('Or have the variables CHROMIUM and CHROMEDRIVER say where they are. Then try again.')
  return 1
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.exitCode = install()
