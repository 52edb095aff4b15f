//! Page checksums: xxh64, seeded so that a page's bytes verify only in their own store and at their own place.
//!
//! xxh64 because it runs at 21 GB/s in wasm as well as natively, where software CRC-32C manages 2 to 3 GB/s.
//! Algorithm: <https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md>.

/// The checksum of `bytes` as the content of page `page` of the store `store_id`. Cost: about 0.2 us for 4 KiB.
pub(crate) fn checksum(store_id: u64, page: u32, bytes: &[u8]) -> u64 {
    // The multiplier (2^64 divided by the golden ratio) spreads small page numbers over the whole seed.
    let seed = store_id ^ u64::from(page).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    xxhash_rust::xxh64::xxh64(bytes, seed)
}
