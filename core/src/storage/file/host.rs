//! What this machine says of itself and of its processes. Where it says nothing, that is an answer, too: a process that may be running is
//! taken for one that is.

use alloc::string::String;

/// Whether there is a process of some number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Process {
    Running,
    /// It has ended; its parent may not have taken note of that yet.
    Gone,
    /// The system does not show the processes of others.
    Unknown,
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod system {
    use std::fs;
    use std::path::{Path, PathBuf};

    use alloc::borrow::ToOwned;
    use alloc::format;
    use alloc::string::{String, ToString};

    fn folder(pid: u32) -> PathBuf {
        PathBuf::from(format!("/proc/{pid}"))
    }

    /// Whether the numbers in `/proc` are those of this process: a new pid namespace may still see the folder of the old one.
    fn is_proc_ours() -> bool {
        fs::read_link("/proc/self").is_ok_and(|name| name.as_os_str() == &*std::process::id().to_string())
    }

    /// The state of a process or thread and the ticks from the kernel's start to its own.
    fn stat_in(folder: &Path) -> Option<(String, String)> {
        let stat = fs::read_to_string(folder.join("stat")).ok()?;
        // The second field is the program's name in brackets and may hold anything.
        let mut fields = stat.rsplit_once(") ")?.1.split(' ').map(str::to_owned);
        Some((fields.next()?, fields.nth(18)?))
    }

    fn stat(pid: u32) -> Option<(String, String)> {
        is_proc_ours().then(|| stat_in(&folder(pid)))?
    }

    pub(crate) fn name() -> Option<String> {
        Some(fs::read_to_string("/proc/sys/kernel/hostname").ok()?.trim_end().to_owned())
    }

    pub(crate) fn is_running(pid: u32) -> Option<bool> {
        if !is_proc_ours() {
            return None;
        }
        match (stat(pid), folder(pid).try_exists()) {
            (Some((state, _)), _) => Some(state != "Z" && state != "X"),
            (None, Ok(true)) => Some(true),
            // The first process is always there: if it can't be seen, others may be hidden as well.
            (None, _) => folder(1).is_dir().then_some(false),
        }
    }

    pub(crate) fn boot() -> Option<String> {
        Some(fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?.trim().to_owned())
    }

    pub(crate) fn space() -> Option<String> {
        fs::read_link("/proc/self/ns/pid").ok()?.to_str().map(str::to_owned)
    }

    pub(crate) fn start(pid: u32) -> Option<String> {
        Some(format!("{}:{}", boot()?, stat(pid)?.1))
    }

    pub(crate) fn is_thread_running(pid: u32, thread: &str) -> Option<bool> {
        // A process that can't be looked at is no sign of a thread that has ended.
        let _visible = stat(pid)?;
        let (id, ticks) = thread.split_once(':')?;
        let id: u32 = id.parse().ok()?;
        Some(stat_in(&folder(pid).join(format!("task/{id}"))).is_some_and(|(_, now)| now == ticks))
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod system {
    use alloc::string::String;

    use rustix::io::Errno;
    use rustix::process::{Pid, test_kill_process};

    pub(crate) fn name() -> Option<String> {
        rustix::system::uname().nodename().to_str().ok().map(String::from)
    }

    pub(crate) fn is_running(pid: u32) -> Option<bool> {
        match i32::try_from(pid).ok().and_then(Pid::from_raw).map(test_kill_process)? {
            Err(Errno::SRCH) => Some(false),
            Ok(()) | Err(Errno::PERM) => Some(true),
            Err(_) => None,
        }
    }

    pub(crate) fn boot() -> Option<String> {
        None
    }

    pub(crate) fn space() -> Option<String> {
        None
    }

    pub(crate) fn start(_pid: u32) -> Option<String> {
        None
    }

    pub(crate) fn is_thread_running(_pid: u32, _thread: &str) -> Option<bool> {
        None
    }
}

/// The machine's name, as its other programs see it.
pub(super) fn name() -> Option<String> {
    system::name()
}

/// Whether a process of this machine is there.
pub(super) fn process(pid: u32) -> Process {
    match system::is_running(pid) {
        Some(true) => Process::Running,
        Some(false) => Process::Gone,
        None => Process::Unknown,
    }
}

/// The kernel's boot, which no two kernels have in common. Only Linux says it.
pub(super) fn boot() -> Option<String> {
    system::boot()
}

/// The pid namespace of this process, in which the numbers of processes mean something. Only Linux says it.
pub(super) fn space() -> Option<String> {
    system::space()
}

/// Whether a thread of a process that runs is there, by its number and start; nothing where that is not known.
pub(super) fn is_thread_running(pid: u32, thread: &str) -> Option<bool> {
    system::is_thread_running(pid, thread)
}

/// When a process began: the kernel's start and the ticks since then, in the npm package's words. Only Linux says it.
pub(super) fn start(pid: u32) -> Option<String> {
    system::start(pid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_running_and_one_that_has_ended_is_not() {
        let own = std::process::id();
        assert_eq!(process(own), Process::Running);
        assert_eq!(start(own), start(own));
        assert!(name().is_some_and(|name| !name.is_empty()));
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let began = start(child.id());
        assert_ne!((child.id(), began), (own, start(own)));
        child.wait().unwrap();
        assert_eq!(process(child.id()), Process::Gone);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_thread_is_known_by_its_number_and_its_start() {
        let own = std::process::id();
        let ticks = start(own).unwrap().rsplit_once(':').unwrap().1.to_owned();
        assert!(start(own).unwrap().starts_with(&format!("{}:", boot().unwrap())));
        // A process's first thread has its number and its start.
        assert_eq!(is_thread_running(own, &format!("{own}:{ticks}")), Some(true));
        assert_eq!(is_thread_running(own, &format!("{own}:1")), Some(false));
        assert_eq!(is_thread_running(own, &format!("1:{ticks}")), Some(false));
        assert_eq!(is_thread_running(own, "none"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_process_that_nobody_has_waited_for_is_gone() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let is_gone = (0..2_000).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(1));
            process(child.id()) == Process::Gone
        });
        assert!(is_gone, "{:?}", process(child.id()));
        child.wait().unwrap();
    }
}
