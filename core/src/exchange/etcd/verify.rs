//! The hash at a snapshot's end.

use alloc::vec;
use alloc::vec::Vec;

use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::pager::Progress;
use crate::storage::ReadAt;

/// Bytes of the hash.
const HASH_BYTES: u64 = 32;
/// A file without a hash is whole sectors of so many bytes.
const SECTOR_BYTES: u64 = 512;
/// Bytes that are hashed at once.
const STEP_BYTES: u64 = 1024 * 1024;

/// Whether a snapshot must have a hash at its end that fits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum HashCheck {
    /// It must, as what `etcdctl snapshot save` writes does.
    #[default]
    Required,
    /// It need not have one, and one that is there is not looked at: for the file `db` of a member that is not running, and for what `etcdctl` takes
    /// with `--skip-hash-check`. What is damaged in the bytes of keys and values can't be noticed then.
    Skipped,
}

/// A file that is being hashed.
#[derive(Debug)]
pub(super) struct Verify {
    digest: Sha256,
    /// Bytes that are hashed so far.
    offset: u64,
    /// Bytes before the hash.
    pub(super) length: u64,
    buffer: Vec<u8>,
    check: HashCheck,
}

impl Verify {
    /// # Errors
    /// [`Error::InvalidSource`] if there is no hash where there must be one, as the file's length tells; [`Error::Storage`].
    pub(super) fn begin<R: ReadAt>(source: &R, check: HashCheck) -> Result<Self> {
        let bytes = source.len()?;
        let has_hash = bytes % SECTOR_BYTES == HASH_BYTES;
        let length = if has_hash { bytes - HASH_BYTES } else { bytes };
        if !has_hash && check == HashCheck::Required {
            let what = "it has no hash at its end, so that it is no snapshot or was cut off; the check can be skipped";
            return Err(Error::invalid_source(length, what));
        }
        Ok(Self { digest: Sha256::new(), offset: 0, length, buffer: Vec::new(), check })
    }

    /// Hashes some more, and compares when all is hashed.
    ///
    /// # Errors
    /// [`Error::InvalidSource`] if the hash does not fit, [`Error::Storage`].
    pub(super) fn step<R: ReadAt>(&mut self, source: &R) -> Result<Progress> {
        if self.check == HashCheck::Skipped {
            return Ok(Progress::Done);
        }
        let now = STEP_BYTES.min(self.length - self.offset);
        self.buffer.resize(usize::try_from(now).unwrap_or(0), 0);
        source.read_at(self.offset, &mut self.buffer)?;
        self.digest.update(&self.buffer);
        self.offset += now;
        if self.offset < self.length {
            return Ok(Progress::More);
        }
        let mut said = vec![0; HASH_BYTES as usize];
        source.read_at(self.length, &mut said)?;
        if self.digest.finalize_reset().as_slice() != said {
            return Err(Error::invalid_source(self.length, "its bytes do not have the SHA-256 at its end"));
        }
        Ok(Progress::Done)
    }
}
