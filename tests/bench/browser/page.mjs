// Runs one job, in the page or in a worker, each time in a worker of its own.
import { JOBS } from './jobs.mjs'

function inWorker(job, options) {
  const worker = new Worker('/worker.js', { type: 'module' })
  return new Promise((resolve, reject) => {
    worker.onmessage = ({ data }) =>
      'failed' in data ? reject(new Error(data.failed)) : resolve(data.measured)
    worker.onerror = ({ message }) => reject(new Error(message))
    worker.postMessage({ job, options })
  }).finally(() => worker.terminate())
}

export function measure({ thread, job, options }) {
  return thread === 'worker' ? inWorker(job, options) : JOBS[job](options)
}
