// A thread of its own in which jobs run: a job in, its numbers out.
import { JOBS } from './jobs.mjs'

addEventListener('message', async ({ data: { job, options } }) => {
  try {
    postMessage({ measured: await JOBS[job](options) })
  } catch (error) {
    postMessage({ failed: String(error?.stack ?? error) })
  }
})
