//! A storage in a file of the operating system, open in one process at a time.
//!
//! Two locks see to that: the operating system's, which goes when the process does, and on Unix a lock file beside the store,
//! which the npm package takes, too, and which says who has the store. Windows has only the first.

#[cfg(unix)]
mod holder;
#[cfg(unix)]
mod host;
#[cfg(unix)]
mod lock;

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use alloc::{format, vec};

#[cfg(unix)]
use lock::{FileLock, Refused, SystemLock, holder_of};

use super::Storage;
use crate::error::{Error, Result};
use crate::limits::MIN_PAGE_BYTES;

/// What a growing file is filled with at a time.
const FILL_BYTES: usize = 256 * 1024;

/// A file, locked for as long as this value lives.
///
/// ```
/// use palimpsest_kv::{Options, Store, storage::FileStorage};
/// # let folder = std::env::temp_dir().join(format!("palimpsest-doc-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder).unwrap();
/// # let path = folder.join("app.plm");
/// let mut store = Store::open(FileStorage::open(&path)?, Options::default())?;
/// store.put("a", "1")?;
/// store.close()?;
/// # std::fs::remove_dir_all(&folder).unwrap();
/// # Ok::<(), palimpsest_kv::Error>(())
/// ```
#[derive(Debug)]
pub struct FileStorage {
    /// Given back before the file is closed, and with it the system's lock.
    #[cfg(unix)]
    _lock: FileLock,
    file: File,
    path: PathBuf,
}

fn failed(operation: &'static str, path: &Path, error: &io::Error) -> Error {
    Error::Storage { operation, reason: format!("{}: {error}", path.display()) }
}

impl FileStorage {
    /// Opens the file at `path` and locks it; a file that does not exist is created.
    ///
    /// A new file appears under its name complete with its first bytes or not at all, so that an empty file is never the
    /// trace of a crash: it is refused, because it may be all that an accident left of a store.
    ///
    /// While it is open, a file of its name with `.lock` at the end says by whom, except on Windows. One that was left by a process
    /// that is gone is taken over.
    ///
    /// # Errors
    /// [`Error::Locked`] if another handle has the file open, in this program, another one, or one that uses the npm package;
    /// [`Error::NotAStore`] for a folder and for an empty file, [`Error::Storage`] if it can't be opened for reading and
    /// writing, its lock can't be written beside it, or, except on Windows, it has more than one name (hard link): the lock would
    /// be beside one of them only.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        if path.is_dir() {
            return Err(Error::NotAStore { reason: format!("{} is a folder", path.display()) });
        }
        let path = canonical(path).map_err(|error| failed("open", path, &error))?;
        let storage = Self::open_locked(path)?;
        storage.assert_one_name()?;
        if storage.len()? == 0 {
            return Err(Error::NotAStore { reason: format!("{} is empty", storage.path.display()) });
        }
        Ok(storage)
    }

    #[cfg(unix)]
    fn open_locked(path: PathBuf) -> Result<Self> {
        let refused = |refused| match refused {
            Refused::Held(holder) => Error::Locked { holder },
            Refused::Failed(error) => failed("lock", &path, &error),
        };
        if let Some(file) = open_existing(&path)? {
            let lock = FileLock::take(&path, SystemLock::Held).map_err(refused)?;
            return Ok(Self { _lock: lock, file, path });
        }
        let lock = FileLock::take(&path, SystemLock::NotYet).map_err(refused)?;
        let file = create_and_open(&path)?;
        Ok(Self { _lock: lock, file, path })
    }

    #[cfg(not(unix))]
    fn open_locked(path: PathBuf) -> Result<Self> {
        let file = match open_existing(&path)? {
            Some(file) => file,
            None => create_and_open(&path)?,
        };
        Ok(Self { file, path })
    }

    /// Two names would have two lock files, and Node knows no other lock.
    #[cfg(unix)]
    fn assert_one_name(&self) -> Result<()> {
        let metadata = self.file.metadata().map_err(|error| self.error("open", &error))?;
        let names = std::os::unix::fs::MetadataExt::nlink(&metadata);
        if names <= 1 {
            return Ok(());
        }
        Err(Error::Storage {
            operation: "open",
            reason: format!(
                "{}: it has {names} names (hard links), and its lock would be beside one of them only: remove the others, or make copies of them",
                self.path.display()
            ),
        })
    }

    #[cfg(not(unix))]
    fn assert_one_name(&self) -> Result<()> {
        Ok(())
    }

    /// Writes zeros from `start` to `end`.
    fn fill(&self, start: u64, end: u64) -> io::Result<()> {
        let zeros = vec![0; FILL_BYTES];
        let mut at = start;
        while at < end {
            let bytes = usize::try_from(end - at).unwrap_or(FILL_BYTES).min(FILL_BYTES);
            write_at(&self.file, at, zeros.get(..bytes).unwrap_or(&zeros))?;
            at += bytes as u64;
        }
        Ok(())
    }

    fn error(&self, operation: &'static str, error: &io::Error) -> Error {
        failed(operation, &self.path, error)
    }
}

/// Who has the system's lock, in words.
#[cfg(not(unix))]
fn holder_of(path: &Path) -> String {
    format!("another handle, in this process or another, on {}", path.display())
}

/// The absolute path with every link followed, so that a store has one lock whatever name it is opened by.
fn canonical(path: &Path) -> io::Result<PathBuf> {
    match path.canonicalize() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // Not there yet: its folder must be.
            let name = path.file_name().ok_or(error)?;
            Ok(folder(path).canonicalize()?.join(name))
        }
        other => other,
    }
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Opens a file and takes the system's lock on it; nothing if there is no such file.
fn open_existing(path: &Path) -> Result<Option<File>> {
    let file = match OpenOptions::new().read(true).write(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed("open", path, &error)),
    };
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Err(Error::Locked { holder: holder_of(path) }),
        Err(TryLockError::Error(error)) => Err(failed("lock", path, &error)),
    }
}

/// How often a new file is tried to be locked, a millisecond apart, where another process has just had a look at it.
const LOCK_ATTEMPTS: usize = 20;

fn create_and_open(path: &Path) -> Result<File> {
    create(path)?;
    for _ in 0..LOCK_ATTEMPTS {
        match open_existing(path) {
            Ok(Some(file)) => return Ok(file),
            // It will find the lock file taken and go away.
            Err(Error::Locked { .. }) => std::thread::sleep(Duration::from_millis(1)),
            Err(error) => return Err(error),
            Ok(None) => return Err(failed("open", path, &io::ErrorKind::NotFound.into())),
        }
    }
    Err(Error::Locked { holder: holder_of(path) })
}

/// Creates the file as one sector of zeros, which the pager takes for a store whose creation has not yet begun. Where
/// another process was faster, its file stands.
fn create(path: &Path) -> Result<()> {
    let mut name = path.as_os_str().to_os_string();
    name.push(format!(".{}.new", std::process::id()));
    let draft = PathBuf::from(name);
    sweep_drafts(path);
    let made = (|| {
        let file = File::create(&draft)?;
        file.set_len(MIN_PAGE_BYTES as u64)?;
        file.sync_all()?;
        publish(&draft, path)?;
        sync_folder(path)
    })();
    let _gone_or_renamed = std::fs::remove_file(&draft);
    made.map_err(|error| failed("create", path, &error))
}

/// Gives a draft its name. The lock file is held, so that nobody else does; a second name on the way could be left by a crash.
#[cfg(unix)]
fn publish(draft: &Path, path: &Path) -> io::Result<()> {
    if path.try_exists()? { Ok(()) } else { std::fs::rename(draft, path) }
}

/// Gives a draft its name, if no file has it.
#[cfg(not(unix))]
fn publish(draft: &Path, path: &Path) -> io::Result<()> {
    match std::fs::hard_link(draft, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::Unsupported => std::fs::rename(draft, path),
        other => other,
    }
}

/// Removes drafts of a file whose lock file is held: those who made them had it before, and were killed. One that can't be removed
/// takes space and does no other harm.
fn sweep_drafts(path: &Path) {
    let Some(name) = path.file_name().and_then(|name| name.to_str()).filter(|_| cfg!(unix)) else { return };
    let is_draft = |other: &str| {
        let pid = other.strip_prefix(name).and_then(|rest| rest.strip_prefix('.')?.strip_suffix(".new"));
        pid.is_some_and(|pid| !pid.is_empty() && pid.chars().all(|digit| digit.is_ascii_digit()))
    };
    for entry in std::fs::read_dir(folder(path)).into_iter().flatten().flatten() {
        if entry.file_name().to_str().is_some_and(is_draft) {
            let _harmless = std::fs::remove_file(entry.path());
        }
    }
}

/// Makes the file's name durable. Only Unix can open a folder to sync it.
fn sync_folder(path: &Path) -> io::Result<()> {
    if cfg!(unix) {
        File::open(folder(path))?.sync_all()?;
    }
    Ok(())
}

#[cfg(unix)]
fn read_at(file: &File, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, offset)
}

#[cfg(unix)]
fn write_at(file: &File, offset: u64, bytes: &[u8]) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, offset)
}

#[cfg(windows)]
fn read_at(file: &File, mut offset: u64, mut buffer: &mut [u8]) -> io::Result<()> {
    while !buffer.is_empty() {
        let read = std::os::windows::fs::FileExt::seek_read(file, buffer, offset)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        offset += read as u64;
        buffer = buffer.split_at_mut(read).1;
    }
    Ok(())
}

#[cfg(windows)]
fn write_at(file: &File, mut offset: u64, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = std::os::windows::fs::FileExt::seek_write(file, bytes, offset)?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        offset += written as u64;
        bytes = bytes.split_at(written).1;
    }
    Ok(())
}

#[cfg(not(any(unix, windows)))]
fn read_at(_file: &File, _offset: u64, _buffer: &mut [u8]) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(not(any(unix, windows)))]
fn write_at(_file: &File, _offset: u64, _bytes: &[u8]) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// A file that is only read; nobody else may write to it meanwhile. It takes no lock.
#[cfg(feature = "exchange")]
impl super::ReadAt for File {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        let failed = |error: io::Error| Error::Storage { operation: "read", reason: format!("{error}") };
        read_at(self, offset, buffer).map_err(failed)
    }

    fn len(&self) -> Result<u64> {
        let failed = |error: io::Error| Error::Storage { operation: "measure", reason: format!("{error}") };
        Ok(self.metadata().map_err(failed)?.len())
    }
}

impl Storage for FileStorage {
    fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        read_at(&self.file, offset, buffer).map_err(|error| self.error("read", &error))
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        write_at(&self.file, offset, bytes).map_err(|error| self.error("write", &error))
    }

    fn sync(&self) -> Result<()> {
        self.file.sync_data().map_err(|error| self.error("sync", &error))
    }

    fn len(&self) -> Result<u64> {
        Ok(self.file.metadata().map_err(|error| self.error("measure", &error))?.len())
    }

    /// What the file grows by is written, and not left to be a hole: a full disk is noticed now, and the syncs of what is written
    /// there later need no new blocks.
    fn set_len(&self, len: u64) -> Result<()> {
        let before = self.len()?;
        let resized = if len > before { self.fill(before, len) } else { self.file.set_len(len) };
        resized.map_err(|error| {
            // What was added in vain is given back; that this can fail, too, changes nothing of what is told.
            let _as_it_was = self.file.set_len(before);
            self.error("resize", &error)
        })
    }
}

#[cfg(test)]
mod tests;
