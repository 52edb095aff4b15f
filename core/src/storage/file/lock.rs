//! The lock file beside a store, which keeps programs apart that can't see each other's locks of the operating system: Node has none.
//!
//! The file is there exactly while somebody has the store open, or was killed. Its text says who; what a program reads there it may
//! take away only if that program is gone. See `pkg/src/node-lock.ts` for the same in the npm package.

use std::fs::{self, OpenOptions};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;

use super::holder::{Holder, Sign, date};
use super::host::{self, Process};

/// A lock whose holder can't be looked up here and that shows no sign of life for so long is stale.
const DEAD_AFTER: Duration = Duration::from_secs(60);
/// A lock file without content is one that is being written, unless it is older than this.
const WRITTEN_WITHIN: Duration = Duration::from_secs(2);
/// How often taking a lock is tried before the one who holds it is believed.
const ATTEMPTS: usize = 5;

/// Digits in base 16 at the end of the name that a lock file has before it is whole.
const DRAFT_DIGITS: usize = 16;

/// Whether this process holds the operating system's lock on the store, which no other process of this crate holds then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SystemLock {
    Held,
    /// There is no file yet that could be locked.
    NotYet,
}

/// Why a lock was not taken.
#[derive(Debug)]
pub(super) enum Refused {
    /// Another has it: who, in words.
    Held(String),
    Failed(io::Error),
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

/// A store's lock file, given back when this is dropped.
#[derive(Debug)]
pub(super) struct FileLock {
    path: PathBuf,
    text: String,
}

impl FileLock {
    /// Takes the lock of the store at `store`, whose path must have no links in it.
    ///
    /// # Errors
    /// [`Refused::Held`] by whom, [`Refused::Failed`] if the file can't be written.
    pub(super) fn take(store: &Path, system_lock: SystemLock) -> Result<Self, Refused> {
        let path = beside(store, "lock");
        let pid = std::process::id();
        let holder = Holder {
            pid,
            host: host::name().unwrap_or_default(),
            since: date(SystemTime::now()),
            start: host::start(pid),
            space: host::space(),
            worker: None,
            sign: Sign::SystemLock,
        };
        let text = holder.text();
        for _ in 0..ATTEMPTS {
            match look(&path)? {
                None => {
                    if make(&path, &text)? {
                        return Ok(Self { path, text });
                    }
                }
                Some(sighting) if sighting.is_stale(system_lock) => {
                    remove_stale(&path, (&sighting, system_lock), &text)?;
                }
                Some(sighting) => return Err(Refused::Held(sighting.words(&path))),
            }
        }
        Err(Refused::Held(holder_of(store)))
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        // Whoever found it stale may have put another in its place.
        if fs::read_to_string(&self.path).is_ok_and(|text| text == self.text) {
            let _left_to_be_found_stale = fs::remove_file(&self.path);
        }
    }
}

/// Who holds the store at `store`, in words, as far as its lock file tells.
pub(super) fn holder_of(store: &Path) -> String {
    let path = beside(store, "lock");
    match look(&path) {
        Ok(Some(sighting)) => sighting.words(&path),
        Ok(None) | Err(_) => "another handle, in this process or another".to_owned(),
    }
}

/// What a lock file says now, and when its holder last showed that it is alive.
struct Sighting {
    text: String,
    holder: Option<Holder>,
    modified: SystemTime,
}

/// Whether a time is further back than `by`.
fn is_past(time: SystemTime, by: Duration) -> bool {
    SystemTime::now().duration_since(time).is_ok_and(|age| age > by)
}

/// Whether a time lies further ahead than `by`, as after the clock was set back.
fn is_ahead(time: SystemTime, by: Duration) -> bool {
    time.duration_since(SystemTime::now()).is_ok_and(|ahead| ahead > by)
}

/// Whether the number of a holder's process says nothing here: it is that of another host, of another start of the kernel, which may be
/// another machine of the same name, or of another pid namespace, as containers have them.
fn is_elsewhere(holder: &Holder) -> bool {
    let is_of_this_boot =
        |start: &String| start.split_once(':').is_some_and(|(boot, _)| Some(boot) == host::boot().as_deref());
    host::name().as_ref() != Some(&holder.host)
        || (holder.space.is_some() && holder.space != host::space())
        || holder.start.as_ref().is_some_and(|start| !is_of_this_boot(start))
}

impl Sighting {
    fn is_stale(&self, system_lock: SystemLock) -> bool {
        let Some(holder) = &self.holder else {
            // Nobody writes a lock for so long as its time may lie ahead.
            return is_past(self.modified, WRITTEN_WITHIN) || is_ahead(self.modified, DEAD_AFTER);
        };
        // Containers have names of their own and one kernel, so the system's lock says more than the name of a host.
        let lost_its_lock = holder.sign == Sign::SystemLock && system_lock == SystemLock::Held;
        if is_elsewhere(holder) {
            return lost_its_lock || (holder.sign == Sign::Heartbeat && is_past(self.modified, DEAD_AFTER));
        }
        match host::process(holder.pid) {
            Process::Gone => true,
            Process::Running => {
                // The number may have been given to another process since.
                let start = host::start(holder.pid).zip(holder.start.as_ref());
                start.is_some_and(|(start, recorded)| start != *recorded) || self.has_worker_ended(holder)
            }
            Process::Unknown => lost_its_lock,
        }
    }

    /// Whether the worker that holds the lock has ended while its process goes on.
    fn has_worker_ended(&self, holder: &Holder) -> bool {
        let Some(worker) = &holder.worker else { return false };
        let thread = worker.thread.as_deref();
        match thread.and_then(|thread| host::is_thread_running(holder.pid, thread)) {
            Some(is_running) => !is_running,
            None => is_past(self.modified, DEAD_AFTER),
        }
    }

    fn words(&self, path: &Path) -> String {
        let who = match &self.holder {
            None => "a process that has just begun".to_owned(),
            Some(holder) if holder.pid == std::process::id() && !is_elsewhere(holder) => {
                format!("this process ({})", holder.pid)
            }
            Some(holder) => format!("{holder}"),
        };
        format!("{who}; its lock is {}{}", path.display(), self.way_out(path))
    }

    /// What to do about a lock that will not be found stale by itself, or not soon; nothing where its holder is known to run.
    fn way_out(&self, path: &Path) -> String {
        let Some(holder) = self.holder.as_ref().filter(|holder| is_elsewhere(holder)) else {
            return String::new();
        };
        let by_hand = format!("if no program has the store open, remove {}", path.display());
        if is_ahead(self.modified, DEAD_AFTER) {
            let time = date(self.modified);
            return format!("; that file's time, {time}, lies ahead of this clock: {by_hand}");
        }
        match holder.sign {
            Sign::SystemLock => {
                format!("; that can't be looked up from here, and gives no sign of life: {by_hand}")
            }
            Sign::Heartbeat => {
                let seconds = DEAD_AFTER.as_secs();
                format!("; it is taken over when it has given no sign of life for {seconds} seconds")
            }
        }
    }
}

/// The path with a further ending.
fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_os_string();
    name.push(".");
    name.push(ending);
    PathBuf::from(name)
}

/// A name that no other file has, which [`sweep`] knows.
fn draft_of(path: &Path) -> PathBuf {
    let unlike_any_other = RandomState::new().build_hasher().finish();
    beside(path, &format!("{unlike_any_other:0DRAFT_DIGITS$x}"))
}

/// Makes the lock file, with its text or not at all, so that one without is never the trace of a process that was killed, nor of one
/// that was stopped and will go on. Answers whether there was none.
fn make(path: &Path, text: &str) -> io::Result<bool> {
    let draft = draft_of(path);
    if !make_directly(&draft, text)? {
        return Ok(false);
    }
    let linked = fs::hard_link(&draft, path);
    remove(&draft)?;
    match linked {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        // Some file systems have no second names for a file.
        Err(_) => make_directly(path, text),
    }
}

/// Removes what [`make`] has left where a process was killed in the middle of it. A name that is not removed does no harm.
fn sweep(path: &Path) {
    let is_draft = |name: &str, lock: &str| {
        name.strip_prefix(lock).and_then(|rest| rest.strip_prefix('.')).is_some_and(|rest| {
            rest.len() == DRAFT_DIGITS && rest.chars().all(|digit| digit.is_ascii_hexdigit())
        })
    };
    let Some((folder, lock)) = path.parent().zip(path.file_name().and_then(|name| name.to_str())) else {
        return;
    };
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let modified = entry.metadata().and_then(|metadata| metadata.modified());
        if entry.file_name().to_str().is_some_and(|name| is_draft(name, lock))
            && modified.is_ok_and(|time| is_past(time, DEAD_AFTER) || is_ahead(time, DEAD_AFTER))
        {
            let _harmless = fs::remove_file(entry.path());
        }
    }
}

/// Makes a file that was not there, then writes it. Answers whether it was not there.
fn make_directly(path: &Path, text: &str) -> io::Result<bool> {
    match OpenOptions::new().write(true).create_new(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
        Ok(mut file) => match file.write_all(text.as_bytes()) {
            Ok(()) => Ok(true),
            Err(error) => {
                let _left_to_be_found_stale = fs::remove_file(path);
                Err(error)
            }
        },
    }
}

fn look(path: &Path) -> io::Result<Option<Sighting>> {
    let seen = fs::read(path).and_then(|bytes| Ok((bytes, fs::metadata(path)?.modified()?)));
    match seen {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
        Ok((bytes, modified)) => {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            Ok(Some(Sighting { holder: Holder::parse(&text), text, modified }))
        }
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Removes a stale lock. Only one process may do so at a time, and only if the lock is still the stale one: another may have removed
/// it meanwhile and taken its place.
fn remove_stale(path: &Path, stale: (&Sighting, SystemLock), text: &str) -> io::Result<()> {
    let (stale, system_lock) = stale;
    let guard = beside(path, "takeover");
    if !make(&guard, text)? {
        // It may be left behind by a process that was killed in the few microseconds between.
        return match look(&guard)? {
            Some(other)
                if other.is_stale(system_lock)
                    || is_past(other.modified, WRITTEN_WITHIN)
                    || is_ahead(other.modified, WRITTEN_WITHIN) =>
            {
                remove_guard(&guard, &other)
            }
            _ => Ok(()),
        };
    }
    let removed = match look(path) {
        Ok(Some(now)) if now.text == stale.text => remove(path),
        Ok(_) => Ok(()),
        Err(error) => Err(error),
    };
    sweep(path);
    sweep(&guard);
    remove(&guard)?;
    removed
}

/// Removes a guard that was left behind. If another has removed it meanwhile and made one of its own, that one goes back.
fn remove_guard(guard: &Path, stale: &Sighting) -> io::Result<()> {
    let aside = draft_of(guard);
    match fs::rename(guard, &aside) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        moved => moved?,
    }
    if look(&aside)?.is_none_or(|now| now.text != stale.text) {
        let _another_was_faster = fs::hard_link(&aside, guard);
    }
    remove(&aside)
}
