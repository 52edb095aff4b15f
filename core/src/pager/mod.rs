//! Fixed-size pages in an arena: allocation, copy-on-write, the cache, the log, checkpoints, two meta slots and the freelist.
//!
//! What it is not: it knows no record and no key. The layers above put bytes into the pages, name a root for
//! the next checkpoint to remember, and find both again when the store is opened.
//!
//! [`Pages`] is the part that snapshots on other threads share: reading, and verifying every page that is read. [`Pager`]
//! is the writer's: everything that changes what is where.

mod arena;
mod bitmap;
mod cache;
mod checkpoint;
mod commit;
mod create;
mod ending;
mod freelist;
mod log;
mod meta;
mod page;
mod pages;
mod plan;
mod replay;
mod shrink;
mod space;
mod survey;

pub(crate) use arena::{Pager, Purpose};
pub(crate) use bitmap::Bitmap;
pub(crate) use checkpoint::{Checkpoint, Progress};
pub(crate) use create::NewStore;
pub(crate) use log::{Log, LogEntry, LogPage, Replayed};
pub(crate) use meta::{MAX_ROOT_BYTES, META_PAGES};
pub(crate) use page::{
    HEADER_BYTES, Header, Page, PageId, PageRef, blank, page_mut, put_at, set_base, set_count, set_level,
    set_used, u16_at, u32_at, u64_at,
};
pub(crate) use pages::Pages;
pub(crate) use replay::Unproven;
pub(crate) use space::{Hold, Note};
pub(crate) use survey::{Map, Mark, Survey, in_page};
