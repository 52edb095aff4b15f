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
    use std::path::PathBuf;

    use alloc::borrow::ToOwned;
    use alloc::format;
    use alloc::string::String;

    fn folder(pid: u32) -> PathBuf {
        PathBuf::from(format!("/proc/{pid}"))
    }

    /// The state of a process and the ticks from the kernel's start to its own.
    fn stat(pid: u32) -> Option<(String, String)> {
        let stat = fs::read_to_string(folder(pid).join("stat")).ok()?;
        // The second field is the program's name in brackets and may hold anything.
        let mut fields = stat.rsplit_once(") ")?.1.split(' ').map(str::to_owned);
        Some((fields.next()?, fields.nth(18)?))
    }

    pub(crate) fn name() -> Option<String> {
        Some(fs::read_to_string("/proc/sys/kernel/hostname").ok()?.trim_end().to_owned())
    }

    pub(crate) fn is_running(pid: u32) -> Option<bool> {
        match (stat(pid), folder(pid).try_exists()) {
            (Some((state, _)), _) => Some(state != "Z" && state != "X"),
            (None, Ok(true)) => Some(true),
            // The first process is always there: if it can't be seen, others may be hidden as well.
            (None, _) => folder(1).is_dir().then_some(false),
        }
    }

    pub(crate) fn start(pid: u32) -> Option<String> {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        Some(format!("{}:{}", boot.trim(), stat(pid)?.1))
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

    pub(crate) fn start(_pid: u32) -> Option<String> {
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
