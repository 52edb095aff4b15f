//! A storage in a file of the operating system.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use alloc::format;

use super::Storage;
use crate::error::{Error, Result};
use crate::limits::MIN_PAGE_BYTES;

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
    /// # Errors
    /// [`Error::Locked`] if another handle has the file open, [`Error::NotAStore`] for a folder and for an empty
    /// file, [`Error::Storage`] if it can't be opened for reading and writing.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref().to_path_buf();
        if path.is_dir() {
            return Err(Error::NotAStore { reason: format!("{} is a folder", path.display()) });
        }
        if !path.try_exists().map_err(|error| failed("open", &path, &error))? {
            create(&path)?;
        }
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&path)
            .map_err(|error| failed("open", &path, &error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let holder = format!("another handle, in this process or another, holds {}", path.display());
                return Err(Error::Locked { holder });
            }
            Err(TryLockError::Error(error)) => return Err(failed("lock", &path, &error)),
        }
        let storage = Self { file, path };
        if storage.len()? == 0 {
            return Err(Error::NotAStore { reason: format!("{} is empty", storage.path.display()) });
        }
        Ok(storage)
    }

    fn error(&self, operation: &'static str, error: &io::Error) -> Error {
        failed(operation, &self.path, error)
    }
}

/// Creates the file as one sector of zeros, which the pager takes for a store whose creation has not yet begun. Where
/// another process was faster, its file stands.
fn create(path: &Path) -> Result<()> {
    let mut name = path.as_os_str().to_os_string();
    name.push(format!(".{}.new", std::process::id()));
    let draft = PathBuf::from(name);
    let made = (|| {
        let file = File::create(&draft)?;
        file.set_len(MIN_PAGE_BYTES as u64)?;
        file.sync_all()?;
        match std::fs::hard_link(&draft, path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::Unsupported => std::fs::rename(&draft, path),
            other => other,
        }?;
        sync_folder(path)
    })();
    let _gone_or_renamed = std::fs::remove_file(&draft);
    made.map_err(|error| failed("create", path, &error))
}

/// Makes the file's name durable. Only Unix can open a folder to sync it.
fn sync_folder(path: &Path) -> io::Result<()> {
    if cfg!(unix) {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder)?.sync_all()?;
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

    fn set_len(&self, len: u64) -> Result<()> {
        self.file.set_len(len).map_err(|error| self.error("resize", &error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn in_a_folder(test: impl FnOnce(&Path)) {
        let line = std::panic::Location::caller().line();
        let folder = std::env::temp_dir().join(format!("palimpsest-file-{}-{line}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        test(&folder);
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_second_opener_is_refused_until_the_first_is_gone() {
        in_a_folder(|folder| {
            let path = folder.join("store");
            let first = FileStorage::open(&path).unwrap();
            assert!(matches!(FileStorage::open(&path), Err(Error::Locked { .. })));
            drop(first);
            FileStorage::open(&path).unwrap();
            let left: Vec<String> = std::fs::read_dir(folder)
                .unwrap()
                .map(|entry| entry.unwrap().file_name().display().to_string())
                .collect();
            assert_eq!(left, ["store"]);
        });
    }

    #[test]
    fn a_folder_and_an_empty_file_are_no_stores() {
        in_a_folder(|folder| {
            assert!(matches!(FileStorage::open(folder), Err(Error::NotAStore { .. })));
            let empty = folder.join("empty");
            std::fs::write(&empty, b"").unwrap();
            assert!(matches!(FileStorage::open(&empty), Err(Error::NotAStore { .. })));
            assert_eq!(std::fs::metadata(&empty).unwrap().len(), 0);
        });
    }
}
