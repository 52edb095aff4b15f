// What etcd has answered to recorded operations, this package answers, too.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { open } from 'palimpsest-kv'
import { Etcd, lean } from './support/etcd.mjs'
import { here } from './support/help.mjs'

const folder = process.env.PALIMPSEST_VECTORS ?? join(here, '..', '..', 'tests', 'conformance', 'vectors')
const names = readdirSync(folder).filter(name => name.endsWith('.json'))

const RANKS = { version: 'version', create: 'create_revision', mod: 'mod_revision', value: 'value' }

/** What may differ: entries of the same rank come in any order, and answers within a transaction have no header here. */
function comparable(operation, answer) {
  const [name, asked] = Object.entries(operation)[0]
  if (name === 'txn' && answer.txn !== undefined) {
    const { succeeded, responses = [] } = answer.txn
    const branch = (succeeded ? asked.success : asked.failure) ?? []
    return {
      ...answer.txn,
      responses: responses.map((response, at) => bare(comparable(branch[at], response))),
    }
  }
  const rank = name === 'range' ? RANKS[asked.sort_target] : undefined
  if (rank === undefined || answer.range?.kvs === undefined) return answer
  if (asked.limit > 0) return { ...answer.range, kvs: answer.range.kvs.map(kv => kv[rank]) }
  const order = answer.range.kvs.map(kv => kv[rank])
  const byKey = (one, other) => (one.key < other.key ? -1 : 1)
  return { ...answer.range, order, kvs: [...answer.range.kvs].sort(byKey) }
}

/** A response of a transaction without its header. */
function bare(response) {
  if (response.responses !== undefined) return { ...response, revision: undefined }
  const fields = Object.entries(response).map(([name, field]) => [
    name,
    field?.constructor === Object ? { ...field, revision: undefined } : field,
  ])
  return { ...Object.fromEntries(fields), revision: undefined }
}

const said = (operation, answer) => lean(comparable(operation, lean(answer)))

test('there are vectors', () => {
  assert.ok(names.length >= 24, `${names.length} in ${folder}`)
})

for (const name of names) {
  test(`as etcd: ${name}`, async t => {
    const vector = JSON.parse(readFileSync(join(folder, name), 'utf8'))
    assert.equal(vector.format, 1)
    const db = await open({
      storage: 'memory',
      keys: 'bytes',
      values: 'bytes',
      maxTxnOps: vector.max_txn_ops,
    })
    t.after(() => db.close())
    const etcd = new Etcd(db)
    for (const [at, { operation, answer: expected }] of vector.steps.entries()) {
      const actual = await etcd.answer(operation)
      assert.deepEqual(
        said(operation, actual),
        said(operation, expected),
        `step ${at}: ${JSON.stringify(operation)} answers ${JSON.stringify(actual)}, not ${JSON.stringify(expected)}`,
      )
    }
    await db.check()
  })
}
