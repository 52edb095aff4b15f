//! The global allocator: `talc`, growing linear memory in few, large steps.
//!
//! Growing one 64 KiB page at a time, as allocators do by default, makes V8 run a full garbage collection at every growth once
//! the memory is past some 64 MiB: a put of 1 us then takes 14 to 44 us. So every growth is at least a quarter of the present
//! size and at least 1 MiB.
#![expect(
    unsafe_code,
    reason = "a source of memory hands raw pages to the allocator, which talc's API makes an unsafe contract"
)]

use core::alloc::Layout;
use core::arch::wasm32::{memory_grow, memory_size};
use core::ptr::NonNull;

use talc::base::binning::Binning;
use talc::base::{CHUNK_UNIT, Talc};
use talc::cell::TalcSyncCell;
use talc::source::Source;
use talc::wasm::WasmBinning;

/// A page of linear memory, in bytes, as WebAssembly defines it.
const PAGE_BYTES: usize = 64 * 1024;
/// The least growth, in pages: 1 MiB.
const LEAST_GROWTH: usize = 16;
/// Growth as a part of the present size: a quarter.
const GROWTH_DIVISOR: usize = 4;

#[global_allocator]
static ALLOCATOR: TalcSyncCell<GeometricGrowth, WasmBinning> =
    TalcSyncCell::new_wasm(GeometricGrowth { end: None });

/// Linear memory as a source. Invariant: `end` is the end of the heap that was claimed or extended last.
#[derive(Debug)]
struct GeometricGrowth {
    end: Option<NonNull<u8>>,
}

/// Pages that certainly hold an allocation with all that talc needs around it.
fn pages_for(layout: Layout) -> usize {
    layout.size().saturating_add(layout.align()).saturating_add(3 * CHUNK_UNIT).div_ceil(PAGE_BYTES)
}

/// Grows linear memory by a quarter, or by what is needed if that is more or if there is no room for a quarter. Answers the
/// old size and the growth, in pages.
fn grow(layout: Layout) -> Option<(usize, usize)> {
    let needed = pages_for(layout);
    let generous = needed.max(LEAST_GROWTH).max(memory_size::<0>() / GROWTH_DIVISOR);
    [generous, needed].into_iter().find_map(|pages| match memory_grow::<0>(pages) {
        usize::MAX => None,
        before => Some((before, pages)),
    })
}

// SAFETY: `acquire` touches no allocator but the one it is given, and hands over only pages that `memory.grow` has just made,
// which nothing else in the module knows of.
unsafe impl Source for GeometricGrowth {
    fn acquire<B: Binning>(talc: &mut Talc<Self, B>, layout: Layout) -> Result<(), ()> {
        let Some((before, pages)) = grow(layout) else {
            crate::failure::out_of_memory(layout.size());
            return Err(());
        };
        let base = (before * PAGE_BYTES) as *mut u8;
        let bytes = pages * PAGE_BYTES;
        let end = base.wrapping_add(bytes);
        talc.source.end = match talc.source.end.take() {
            // SAFETY: `old` is the end of the newest heap, and the new pages follow it without a gap. At the very end of the
            // address space the end pointer wraps to null; then the pages become a heap of their own.
            Some(old) if old.as_ptr() == base && !end.is_null() => Some(unsafe { talc.extend(old, end) }),
            // SAFETY: the pages are fresh and stay the allocator's for ever.
            _ => unsafe { talc.claim(base, bytes) },
        };
        if talc.source.end.is_some() { Ok(()) } else { Err(()) }
    }
}
