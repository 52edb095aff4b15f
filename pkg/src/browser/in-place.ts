import { PalimpsestError } from '../errors.js'
import { type Environment, type OpenStorage, openIn } from '../open.js'
import type { KeyCodec, NamedStorage, OpenOptions, Store, ValueCodec } from '../types.js'
import { engineOf } from './engine.js'
import { browserHost } from './host.js'
import { isOpfsHere, openOpfs } from './opfs.js'

function openFile(): never {
  throw new PalimpsestError(
    'UNSUPPORTED',
    "there are no files in a browser: name a store with the storage 'auto'",
  )
}

async function openNamed(kind: NamedStorage, name: string): Promise<OpenStorage> {
  if (kind === 'opfs' || isOpfsHere()) return openOpfs(name)
  throw new PalimpsestError('UNSUPPORTED', 'not yet')
}

/** Opens a store whose engine runs in this thread. */
export async function openInPlace<V extends ValueCodec, K extends KeyCodec>(
  wasm: () => Promise<WebAssembly.Module>,
  options: OpenOptions<V, K>,
): Promise<Store<V, K>> {
  const environment: Environment = { host: browserHost, openFile, openNamed, load: () => engineOf(wasm) }
  // `Symbol.asyncDispose` is added to the prototype, which the types can't see.
  return (await openIn(environment, options)) as unknown as Store<V, K>
}
