import { type ErrorCode, type ErrorFields, PalimpsestError } from '../errors.js'
import type { Parts } from '../ops.js'
import type { CompactionProgress, Status, StorageInfo } from '../types.js'

/** The number of the store among the objects that the worker holds for the page. The page gives the others theirs. */
export const STORE_ID = 0

/** One thing that the page asks of the worker. All that is asked in a turn goes in one message, and is done in its order. */
export interface Request {
  /** What the answer is to be called; without it none is wanted. */
  readonly id?: number
  /** The object that it is asked of. */
  readonly on: number
  readonly method: string
  readonly args: readonly unknown[]
  /** The number that the page gives to the object that comes of it, which stays in the worker. */
  readonly as?: number
}

/** An error, as it crosses. */
export interface Thrown {
  readonly code?: ErrorCode
  readonly message: string
  readonly fields?: ErrorFields
}

/** An answer to a request. */
export type Answer =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly thrown: Thrown }

/** What the page knows of the store without asking, as of the last message from the worker. */
export interface State {
  readonly revision: number
  readonly durableRevision: number
  readonly compacted: number | undefined
  /** How far the newest compaction is. */
  readonly compaction: CompactionProgress | undefined
}

/** A tab among those of a store: the channel on which they find each other, and its own name there. */
export interface TabName {
  readonly line: string
  readonly id: string
}

/** A store that can be used. */
export interface Begun {
  readonly type: 'opened'
  readonly storage: StorageInfo
  readonly state: State
  /** The newest revision that the leader found when it opened the store: what was newer before that is undone. */
  readonly base: number
}

/** The store can be used: for the first time, or again with another leader. */
export interface Opened extends Begun {
  readonly tab: TabName | undefined
  readonly role: Status['role']
  /** The number of the leader. What is asked bears it, and is not done by another one: the page will ask that one again. */
  readonly epoch: number
}

/** The leader is gone. Whether it has done what it did not answer is unknown up to this request; it has done none after it. */
export interface Lost {
  readonly type: 'lost'
  readonly last: number
}

/** What the worker says. */
export type Message =
  | Opened
  | Lost
  /** There has been no leader for long, and nothing tells when there will be one. */
  | { readonly type: 'leaderless' }
  | { readonly type: 'refused'; readonly thrown: Thrown }
  | { readonly type: 'answers'; readonly answers: readonly Answer[]; readonly state: State | undefined }
  | { readonly type: 'failure'; readonly thrown: Thrown }
  /** An import goes on with the next bytes of its source. */
  | { readonly type: 'wanted' }
  /** The store is made, and closed again. */
  | { readonly type: 'imported' }

/** What the page says. */
export type Order =
  | {
      readonly type: 'open'
      readonly wasm: WebAssembly.Module
      readonly options: object
      readonly hears: boolean
      /** Whether the page opens the store, or has it and has lost its worker. */
      readonly comes: 'anew' | 'back'
    }
  | { readonly type: 'requests'; readonly epoch: number; readonly requests: readonly Request[] }
  | { readonly type: 'leave' }
  /** Makes a store of an export, whose bytes are asked for one piece after the other. */
  | { readonly type: 'import'; readonly wasm: WebAssembly.Module; readonly options: object }
  /** The bytes that were asked for; nothing at the end of them. */
  | { readonly type: 'piece'; readonly bytes: Uint8Array | undefined }
  /** There will be no more bytes, though they are not at their end. */
  | { readonly type: 'cut' }

/** A transaction, as it crosses. */
export type PlainTxn = Pick<Parts, 'compares' | 'success' | 'failure'>

/** A batch of what is iterated. */
export interface Batch {
  readonly items: readonly unknown[]
  readonly done: boolean
}

/** An error in a form that can cross. */
export function thrownOf(error: unknown): Thrown {
  if (!(error instanceof PalimpsestError))
    return { message: error instanceof Error ? error.message : String(error) }
  const { code, message, ...fields } = error
  return { code, message: error.message, fields: { ...fields } }
}

/** The error that has crossed. */
export function errorOf({ code, message, fields }: Thrown): Error {
  return code === undefined ? new Error(message) : new PalimpsestError(code, message, fields)
}
