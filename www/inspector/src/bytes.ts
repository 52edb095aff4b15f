/** Keys and values are bytes: any store can be shown. Here they become text, and text becomes bytes. */

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: true })

/** Text as a store holds it. */
export function bytesOf(text: string): Uint8Array {
  return encoder.encode(text)
}

/** Bytes as a person reads them: as text if they are text, else as hexadecimal numbers. */
export function textOf(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes)
  } catch {
    return `0x${Array.from(bytes, byte => byte.toString(16).padStart(2, '0')).join('')}`
  }
}

/** Whether bytes are shown as text, so that what is typed for them is what they are. */
export function isText(bytes: Uint8Array): boolean {
  try {
    decoder.decode(bytes)
    return true
  } catch {
    return false
  }
}
