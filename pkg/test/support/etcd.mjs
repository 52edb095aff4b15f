// etcd's operations, as the recorded vectors say them, asked of a store of this package.
import { setImmediate as turn } from 'node:timers/promises'
import { compare, del, get, put } from 'palimpsest-kv'

const bytes = (text = '') => Uint8Array.from(text, character => character.charCodeAt(0))
const text = bytes => String.fromCharCode(...bytes)

/** The vectors have revisions that are too far in the future for JavaScript's numbers. */
const revision = number => Math.min(number ?? 0, Number.MAX_SAFE_INTEGER)

function selection({ key, range_end: end = '' }) {
  if (end === '') return { key: bytes(key) }
  return end === '\0' ? { from: bytes(key) } : { from: bytes(key), to: bytes(end) }
}

const SORTS = { key: 'key', version: 'version', create: 'createRevision', mod: 'modRevision', value: 'value' }
const ORDERS = { ascend: 'ascending', descend: 'descending' }

function readOptions(range) {
  const { sort_target: target = 'key', sort_order: order = 'none', limit = 0 } = range
  return {
    revision: revision(range.revision),
    limit: limit === 0 ? undefined : limit,
    sort: order === 'none' ? undefined : { by: SORTS[target], order: ORDERS[order] },
    minModRevision: revision(range.min_mod_revision),
    maxModRevision: revision(range.max_mod_revision),
    minCreateRevision: revision(range.min_create_revision),
    maxCreateRevision: revision(range.max_create_revision),
    withCount: true,
  }
}

function putOptions(asked) {
  const { lease, prev_kv: previous, ignore_value: keepValue, ignore_lease: keepLease } = asked
  return { lease, previous, keepValue, keepLease }
}

const putValue = ({ value, ignore_value: keepValue }) => (keepValue ? undefined : bytes(value))

const TARGETS = {
  version: 'version',
  create: 'createRevision',
  mod: 'modRevision',
  lease: 'lease',
  value: 'value',
}
const RELATIONS = { equal: 'equals', not_equal: 'notEquals', less: 'lessThan', greater: 'greaterThan' }

function condition(asked) {
  const [[target, operand]] = Object.entries(asked.target)
  const given = target === 'value' ? bytes(operand) : revision(operand)
  return compare(selection(asked))[TARGETS[target]][RELATIONS[asked.result]](given)
}

/** An entry as the vectors have it: what is 0 or empty is left out. */
function keyValue({ key, value = new Uint8Array(), createRevision, modRevision, version, lease = 0 }) {
  return lean({
    key: text(key),
    value: text(value),
    create_revision: createRevision,
    mod_revision: modRevision,
    version,
    lease,
  })
}

/** Without fields that are absent, 0, false or empty. */
export function lean(value) {
  if (Array.isArray(value)) return value.map(lean)
  if (value === null || typeof value !== 'object') return value
  const isThere = ([, field]) =>
    ![undefined, null, 0, false, ''].includes(field) && !(Array.isArray(field) && field.length === 0)
  return Object.fromEntries(
    Object.entries(value)
      .map(([name, field]) => [name, lean(field)])
      .filter(isThere),
  )
}

/** A watch that is read as fast as it tells. */
class Watching {
  events = []
  error

  constructor(watch, marker) {
    this.watch = watch
    this.marker = marker
    this.reading = this.#read()
  }

  async #read() {
    try {
      for await (const { events } of this.watch) this.events.push(...events)
    } catch (error) {
      this.error = error
    }
  }

  /** Fulfilled when it was told of everything up to a revision. */
  async settle(revision) {
    while (this.error === undefined && this.watch.revision < revision) await turn()
    await turn()
  }
}

function eventOf({ type, previous, ...entry }) {
  const before = previous === undefined || previous === 'compacted' ? undefined : keyValue(previous)
  return lean({ kind: type, kv: keyValue(entry), prev_kv: before })
}

/** A store that answers as the vectors do. It is opened with `bytes` for keys and values. */
export class Etcd {
  #db
  #watches = new Map()

  constructor(db) {
    this.#db = db
  }

  /** The answer to an operation of the vectors. */
  async answer(operation) {
    const [name, asked] = typeof operation === 'string' ? [operation, {}] : Object.entries(operation)[0]
    let answer
    try {
      answer = await this[name](asked)
    } catch (error) {
      if (error.code === undefined || error.code === 'INVALID_ARGUMENT') throw error
      answer = { failed: { code: error.code } }
    }
    for (const watching of this.#watches.values()) await watching.settle(this.#db.revision)
    return answer
  }

  async put(asked) {
    const { revision, previous } = await this.#db.put(bytes(asked.key), putValue(asked), putOptions(asked))
    return { put: { revision, prev_kv: previous && keyValue(previous) } }
  }

  async delete_range(asked) {
    const {
      revision,
      deleted,
      previous = [],
    } = await this.#db.delete(selection(asked), {
      previous: asked.prev_kv,
    })
    return { deleted: { revision, deleted, prev_kvs: previous.map(keyValue) } }
  }

  async range(asked) {
    const options = { ...selection(asked), ...readOptions(asked) }
    if (asked.count_only) {
      const { revision } = options
      const count = await this.#db.count({ ...selection(asked), revision })
      return { range: { revision: this.#db.revision, count } }
    }
    const { entries, more, count } = await this.#db
      .range({ ...options, keysOnly: asked.keys_only === true })
      .collect()
    return { range: { revision: this.#db.revision, kvs: entries.map(keyValue), more, count } }
  }

  async txn(asked) {
    return { txn: this.#committed(await this.#txn(asked).commit()) }
  }

  #txn({ compare: conditions = [], success = [], failure = [] }) {
    return this.#db
      .txn()
      .if(...conditions.map(condition))
      .then(...success.map(op => this.#op(op)))
      .else(...failure.map(op => this.#op(op)))
  }

  #op(operation) {
    const [[name, asked]] = Object.entries(operation)
    if (name === 'txn') return this.#txn(asked)
    if (name === 'put') return put(bytes(asked.key), putValue(asked), putOptions(asked))
    if (name === 'delete_range') return del(selection(asked), { previous: asked.prev_kv })
    return get(selection(asked), {
      ...readOptions(asked),
      keysOnly: asked.keys_only,
      countOnly: asked.count_only,
    })
  }

  #committed({ revision, succeeded, results }) {
    return { revision, succeeded, responses: results.map(result => this.#response(result)) }
  }

  #response(result) {
    const { type, entries = [], more, count, deleted, previous } = result
    if (type === 'txn') return { txn: this.#committed(result) }
    if (type === 'put') return { put: { prev_kv: previous && keyValue(previous) } }
    if (type === 'delete') return { deleted: { deleted, prev_kvs: (previous ?? []).map(keyValue) } }
    return { range: { kvs: entries.map(keyValue), more, count } }
  }

  async compact(asked) {
    await this.#db.compact(revision(asked.revision))
    return { compacted: { revision: this.#db.revision } }
  }

  async grant({ id, ttl }) {
    const lease = await this.#db.grantLease(ttl * 1000, { id })
    return { granted: { revision: lease.revision, id: lease.id, ttl: lease.ttl / 1000 } }
  }

  async revoke({ id }) {
    const { revision } = await this.#db.revokeLease(id)
    return { revoked: { revision } }
  }

  async keep_alive({ id }) {
    const { ttl } = await this.#db.keepAlive(id)
    return { kept_alive: { revision: this.#db.revision, ttl: ttl / 1000 } }
  }

  async time_to_live({ id }) {
    const lease = await this.#db.lease(id)
    const keys = (await this.#db.leaseKeys(id)).map(text)
    return { time_to_live: { revision: this.#db.revision, granted: lease && lease.ttl / 1000, keys } }
  }

  async leases() {
    return { leases: { revision: this.#db.revision, ids: await this.#db.leases() } }
  }

  async status() {
    return { status: { revision: (await this.#db.status()).revision } }
  }

  async hash_kv(asked) {
    const { hash, compacted } = await this.#db.hashKv(revision(asked.revision))
    return { hash: { revision: this.#db.revision, hash, compacted } }
  }

  async watch(asked) {
    const watch = this.#db.watch(selection(asked), {
      from: revision(asked.start_revision),
      previous: asked.prev_kv,
      puts: !asked.no_put,
      deletes: !asked.no_delete,
    })
    this.#watches.set(asked.id, new Watching(watch, bytes(asked.key)))
    return { watching: { revision: this.#db.revision } }
  }

  async watched({ id }) {
    const watching = this.#watches.get(id)
    this.#watches.delete(id)
    const { marker, watch } = watching
    for (let i = 0; i < 2; i += 1) await this.#db.put(marker, bytes('marker'))
    const { revision } = await this.#db.delete({ key: marker })
    await watching.settle(revision)
    await watch.return()
    if (watching.error === undefined) return { watched: { revision, events: watching.events.map(eventOf) } }
    if (watching.error.code !== 'COMPACTED') throw watching.error
    return { cancelled: { revision, compacted: watching.error.compacted } }
  }
}
