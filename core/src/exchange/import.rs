//! Making a store of an export.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::format::{
    End, FLAG_OPTIONAL, FOOT_BYTES, HEAD_BYTES, Head, MAGIC, MAX_SECTION_BYTES, START_BYTES, State, VERSION,
    chained, kind, take_record,
};
use super::load::Load;
use crate::error::{Error, Result};
use crate::storage::Storage;
use crate::store::{Options, Store};

/// A store that is being made of an [`Export`](super::Export), whose bytes come in pieces of any length.
///
/// What is damaged, cut off or no export is answered with [`Error::InvalidSource`], and nothing is made of it: after an error the storage is
/// empty again. A crash before [`Import::finish`] has returned leaves the whole store, or a storage that can't be opened and that the next import may take; so
/// does dropping this without [`Import::cancel`]. Every byte is verified; so is, at each record, that it can follow those before it.
///
/// Holds in memory a section, the longest value, the leases, pins and times, and as much as the new store's index.
///
/// ```
/// # use palimpsest_kv::{Error, Import, Options, Store, storage::MemoryStorage};
/// let mut import = Import::begin(MemoryStorage::new(), Options::default())?;
/// assert!(matches!(import.feed(b"something else"), Err(Error::InvalidSource { offset: 0, .. })));
/// # Ok::<(), Error>(())
/// ```
///
/// Invariant: `load` is there until something is wrong with the source or the storage, and `failed` from then on.
pub struct Import<S: Storage> {
    load: Option<Load<S>>,
    failed: Option<Error>,
    source: Source,
}

/// How far the source was read.
#[derive(Debug, Default)]
struct Source {
    /// Bytes that are not looked at yet: too few for what comes next.
    waiting: Vec<u8>,
    /// Where these begin.
    offset: u64,
    /// The checksum of everything before; nothing before the start was read.
    chain: Option<u64>,
    /// The kind of the last section.
    kind: u16,
    state: Option<State>,
    /// The beginning of a record that goes on in the next section.
    record: Vec<u8>,
    has_ended: bool,
}

impl<S: Storage> Import<S> {
    /// Begins on a storage that must hold nothing, or what is left of an import that was cut short. The options are those of the store; their
    /// limits to keys, values and pages in use don't hold for what is imported.
    ///
    /// # Errors
    /// [`Error::InvalidOption`] if the storage holds something or an option is invalid, with the storage unchanged;
    /// [`Error::Storage`].
    pub fn begin(into: S, options: Options) -> Result<Self> {
        let load = Some(Load::begin(into, options)?);
        Ok(Self { load, failed: None, source: Source::default() })
    }

    /// Takes the next bytes. Costs what they are.
    ///
    /// # Errors
    /// [`Error::InvalidSource`], [`Error::NewerFormat`], [`Error::Storage`], after which nothing is left of the store and every
    /// further call answers the same.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<()> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let Self { load: Some(load), source, .. } = self else { return Ok(()) };
        source.feed(bytes, load).inspect_err(|error| {
            self.failed = Some(error.clone());
            self.load.take().into_iter().for_each(Load::abandon);
        })
    }

    /// Makes the store, durably, once all bytes are there, and opens it.
    ///
    /// # Errors
    /// [`Error::InvalidSource`] if the source was cut off, with nothing left of the store; [`Error::Storage`].
    pub fn finish(self) -> Result<Store<S>> {
        let Self { load, failed, source } = self;
        let (Some(load), None) = (load, &failed) else {
            return Err(failed.unwrap_or_else(|| source.cut_off()));
        };
        match source.state.filter(|_| source.has_ended) {
            Some(state) => load.finish(source.offset, (state.revision, state.compacted)),
            None => {
                load.abandon();
                Err(source.cut_off())
            }
        }
    }

    /// Gives up: the storage is empty again.
    pub fn cancel(self) {
        self.load.into_iter().for_each(Load::abandon);
    }
}

impl Source {
    fn invalid(&self, what: impl Into<String>) -> Error {
        Error::invalid_source(self.offset, what)
    }

    fn cut_off(&self) -> Error {
        Error::invalid_source(self.offset + self.waiting.len() as u64, "it ends before its end")
    }

    fn feed<S: Storage>(&mut self, mut bytes: &[u8], load: &mut Load<S>) -> Result<()> {
        while !bytes.is_empty() {
            if self.has_ended {
                return Err(self.invalid("there is something behind the end"));
            }
            let missing = self.needed()? - self.waiting.len();
            let (now, later) = bytes.split_at(missing.min(bytes.len()));
            self.waiting.extend_from_slice(now);
            bytes = later;
            if self.waiting.len() == self.needed()? {
                self.take(load)?;
            }
        }
        Ok(())
    }

    /// How many bytes there must be for the next part to be looked at: the start, a section's head, or a section.
    fn needed(&self) -> Result<usize> {
        if self.chain.is_none() {
            let known = self.waiting.len().min(MAGIC.len());
            if self.waiting.get(..known) != MAGIC.get(..known) {
                return Err(self.invalid("it does not begin as an export does"));
            }
            return Ok(START_BYTES);
        }
        let Some(head) = Head::read(&self.waiting) else { return Ok(HEAD_BYTES) };
        if head.length > MAX_SECTION_BYTES {
            return Err(self.invalid(format!("a section of {} bytes", head.length)));
        }
        Ok(HEAD_BYTES + head.length + FOOT_BYTES)
    }

    /// Looks at the part that is whole now.
    fn take<S: Storage>(&mut self, load: &mut Load<S>) -> Result<()> {
        let part = core::mem::take(&mut self.waiting);
        match self.chain {
            None => self.take_start(&part)?,
            Some(before) => self.take_section(before, &part, load)?,
        }
        self.offset += part.len() as u64;
        self.waiting = part;
        self.waiting.clear();
        Ok(())
    }

    fn take_start(&mut self, part: &[u8]) -> Result<()> {
        let found = part.last_chunk().map_or(0, |version| u32::from_le_bytes(*version));
        if found > VERSION {
            return Err(Error::NewerFormat { found, supported: VERSION });
        }
        if found == 0 {
            return Err(self.invalid("it has the version 0"));
        }
        self.chain = Some(chained(0, part));
        Ok(())
    }

    fn take_section<S: Storage>(&mut self, before: u64, part: &[u8], load: &mut Load<S>) -> Result<()> {
        let Some((covered, said)) = part.split_last_chunk::<FOOT_BYTES>() else { return Ok(()) };
        let Some(head) = Head::read(covered) else { return Ok(()) };
        let content = covered.get(HEAD_BYTES..).unwrap_or(&[]);
        let chain = chained(before, covered);
        if chain != u64::from_le_bytes(*said) {
            return Err(self.invalid("a section's checksum does not match"));
        }
        self.chain = Some(chain);
        if head.kind < self.kind || (self.kind == 0) != (head.kind == kind::STATE) {
            return Err(self.invalid(format!("a section {} after one of {}", head.kind, self.kind)));
        }
        if self.kind == kind::RECORDS && head.kind != kind::RECORDS && !self.record.is_empty() {
            return Err(self.invalid("the last record is not whole"));
        }
        self.kind = head.kind;
        match head.kind {
            kind::STATE => {
                self.state = Some(self.decoded(content)?);
                Ok(())
            }
            kind::LEASES => self.take_list(content, |lease| load.lease(self.offset, lease)),
            kind::PINS => self.take_list(content, |pin| load.pin(self.offset, pin)),
            kind::TIMES => self.take_list(content, |time| {
                load.times.push(time);
                Ok(())
            }),
            kind::RECORDS => self.take_records(content, load),
            kind::END => self.take_end(content, load),
            _ if head.flags & FLAG_OPTIONAL != 0 => Ok(()),
            kind => Err(self.invalid(format!("a section of the unknown kind {kind}: use a newer build"))),
        }
    }

    /// Something that is all of a section.
    fn decoded<T: serde::de::DeserializeOwned>(&self, content: &[u8]) -> Result<T> {
        match postcard::take_from_bytes(content) {
            Ok((item, [])) => Ok(item),
            Ok((_, rest)) => Err(self.invalid(format!("{} bytes too many in a section", rest.len()))),
            Err(error) => Err(self.invalid(format!("a section can't be read: {error}"))),
        }
    }

    /// The items of a list, each passed to `take`.
    fn take_list<T: serde::de::DeserializeOwned>(
        &self,
        mut content: &[u8],
        mut take: impl FnMut(T) -> Result<()>,
    ) -> Result<()> {
        while !content.is_empty() {
            let (item, rest) = postcard::take_from_bytes::<T>(content)
                .map_err(|error| self.invalid(format!("a list can't be read: {error}")))?;
            take(item)?;
            content = rest;
        }
        Ok(())
    }

    fn take_records<S: Storage>(&mut self, content: &[u8], load: &mut Load<S>) -> Result<()> {
        let mut begun = core::mem::take(&mut self.record);
        if begun.is_empty() {
            let taken = self.take_whole_records(content, load)?;
            self.record = content.get(taken..).unwrap_or(&[]).to_vec();
            return Ok(());
        }
        // A record of many sections is put together once.
        begun.extend_from_slice(content);
        let taken = self.take_whole_records(&begun, load)?;
        begun.drain(..taken);
        self.record = begun;
        Ok(())
    }

    /// Takes the records that are there whole. Answers how many bytes these are.
    fn take_whole_records<S: Storage>(&self, bytes: &[u8], load: &mut Load<S>) -> Result<usize> {
        let newest = self.state.map_or(0, |state| state.revision);
        let mut rest = bytes;
        loop {
            let before = if load.records() == 0 { 0 } else { load.main() };
            let taken = take_record(rest, before).map_err(|what| self.invalid(what))?;
            let Some((position, change, taken)) = taken else { return Ok(bytes.len() - rest.len()) };
            if position.main > newest {
                return Err(self.invalid(format!("record {position} is after the revision {newest}")));
            }
            load.record(self.offset, position, change)?;
            rest = rest.get(taken..).unwrap_or(&[]);
        }
    }

    fn take_end<S: Storage>(&mut self, content: &[u8], load: &Load<S>) -> Result<()> {
        let told: End = self.decoded(content)?;
        let found = End { leases: load.leases(), records: load.records(), bytes: self.offset };
        if told != found {
            return Err(self.invalid(format!("it tells of {told:?}, and there were {found:?}")));
        }
        self.has_ended = true;
        Ok(())
    }
}
