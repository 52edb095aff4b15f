#[cfg(unix)]
use std::time::SystemTime;

use super::*;

#[track_caller]
fn in_a_folder(test: impl FnOnce(&Path)) {
    let line = std::panic::Location::caller().line();
    let folder = std::env::temp_dir().join(format!("palimpsest-file-{}-{line}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    test(&folder);
    std::fs::remove_dir_all(&folder).unwrap();
}

/// The names of all files in a folder.
fn listing(folder: &Path) -> Vec<String> {
    let names = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = names.map(|entry| entry.unwrap().file_name().display().to_string()).collect();
    names.sort();
    names
}

#[test]
fn a_second_opener_is_refused_until_the_first_is_gone() {
    in_a_folder(|folder| {
        let path = folder.join("store");
        let first = FileStorage::open(&path).unwrap();
        assert!(matches!(FileStorage::open(&path), Err(Error::Locked { .. })));
        drop(first);
        FileStorage::open(&path).unwrap();
        assert_eq!(listing(folder), ["store"]);
    });
}

#[cfg(unix)]
#[test]
fn a_second_opener_is_told_who_has_the_store_by_whatever_name_it_opens_it() {
    in_a_folder(|folder| {
        let path = folder.join("store");
        let link = folder.join("link");
        drop(FileStorage::open(&path).unwrap());
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let first = FileStorage::open(&link).unwrap();
        assert_eq!(listing(folder), ["link", "store", "store.lock"]);
        for name in [&path, &link, &folder.join(".").join("store")] {
            let Err(Error::Locked { holder }) = FileStorage::open(name) else { panic!("it was opened") };
            let lock = path.canonicalize().unwrap().display().to_string();
            let expected = format!("this process ({}); its lock is {lock}.lock", std::process::id());
            assert_eq!(holder, expected);
        }
        drop(first);
        assert_eq!(listing(folder), ["link", "store"]);
    });
}

#[cfg(unix)]
#[test]
fn a_lock_is_stale_or_not() {
    in_a_folder(|folder| {
        let path = folder.join("store");
        drop(FileStorage::open(&path).unwrap());
        let mut dead = std::process::Command::new("true").spawn().unwrap();
        dead.wait().unwrap();
        let (dead, own) = (dead.id(), std::process::id());
        let host = host::name().unwrap();
        let text = |pid: u32, host: &str, more: &str| {
            format!("{{\"pid\":{pid},\"host\":\"{host}\",\"since\":\"then\"{more}}}")
        };
        let (node, native) = (",\"start\":null", ",\"start\":null,\"heartbeat\":false");
        let (other_space, other_boot) = (",\"space\":\"pid:[1]\"", ",\"start\":\"another boot:1\"");
        let number_given_anew = format!(",\"start\":\"{}:1\"", host::boot().unwrap_or_default());
        let ended_worker = ",\"worker\":1,\"thread\":\"1:1\"";
        let is_linux = cfg!(target_os = "linux");
        let (now, old, ahead) = (At::Now, At::TwoMinutesAgo, At::InTwoMinutes);
        let cases = [
            ("a dead process", text(dead, &host, node), now, true),
            ("a dead process of this crate", text(dead, &host, native), now, true),
            ("a dead process, a time ahead", text(dead, &host, node), ahead, true),
            ("a number given anew", text(own, &host, &number_given_anew), now, is_linux),
            ("a process that runs", text(own, &host, node), now, false),
            ("a process that runs, an old lock", text(own, &host, node), old, false),
            ("another host, a fresh sign of life", text(dead, "elsewhere", node), now, false),
            ("another host, no sign of life", text(dead, "elsewhere", node), old, true),
            ("another host, a time ahead", text(dead, "elsewhere", node), ahead, false),
            ("another host that has lost the system's lock", text(dead, "elsewhere", native), now, true),
            ("another namespace, a fresh sign of life", text(dead, &host, other_space), now, false),
            ("another namespace, no sign of life", text(dead, &host, other_space), old, true),
            ("another boot, a fresh sign of life", text(dead, &host, other_boot), now, false),
            ("another boot, no sign of life", text(dead, &host, other_boot), old, true),
            ("a worker that has ended", text(own, &host, ended_worker), now, is_linux),
            (
                "a worker that is not known, a fresh sign of life",
                text(own, &host, ",\"worker\":1"),
                now,
                false,
            ),
            ("a worker that is not known, no sign of life", text(own, &host, ",\"worker\":1"), old, true),
            ("a lock that is being written", String::new(), now, false),
            ("a lock that was never written", String::new(), old, true),
            ("a lock that was never written, a time ahead", String::new(), ahead, true),
            ("a lock that is none", "garbage".into(), old, true),
        ];
        for case in cases {
            check_lock(folder, case);
        }
    });
}

/// When a lock was last touched.
#[cfg(unix)]
#[derive(Clone, Copy)]
enum At {
    Now,
    TwoMinutesAgo,
    InTwoMinutes,
}

/// Opens the store of a folder beside which there is a lock, and sees whether it is taken over.
#[cfg(unix)]
fn check_lock(folder: &Path, (what, text, at, is_stale): (&str, String, At, bool)) {
    let (path, lock) = (folder.join("store"), folder.join("store.lock"));
    std::fs::write(&lock, &text).unwrap();
    let (now, minutes) = (SystemTime::now(), Duration::from_secs(120));
    let modified = match at {
        At::Now => now,
        At::TwoMinutesAgo => now - minutes,
        At::InTwoMinutes => now + minutes,
    };
    File::options().write(true).open(&lock).unwrap().set_modified(modified).unwrap();
    match FileStorage::open(&path) {
        Ok(storage) => {
            assert!(is_stale, "{what} was taken");
            assert_ne!(std::fs::read_to_string(&lock).unwrap(), text, "{what}");
            drop(storage);
            assert_eq!(listing(folder), ["store"], "{what}");
        }
        Err(Error::Locked { holder }) => {
            assert!(!is_stale, "{what}: {holder}");
            assert_eq!(std::fs::read_to_string(&lock).unwrap(), text, "{what}");
            let is_told =
                holder.contains("no sign of life for 60 seconds") || holder.contains("; that file's time");
            assert_eq!(is_told, what.starts_with("another"), "{what}: {holder}");
        }
        Err(error) => panic!("{what}: {error}"),
    }
}

#[cfg(unix)]
#[test]
fn what_a_process_killed_while_it_took_the_lock_has_left_is_removed_with_a_stale_lock() {
    in_a_folder(|folder| {
        let path = folder.join("store");
        drop(FileStorage::open(&path).unwrap());
        let old = SystemTime::now() - Duration::from_secs(120);
        let others = ["other.lock.0123456789abcdef", "store.lock.0123", "store.lock.0123456789abcdefg"];
        for name in ["store.lock", "store.lock.0123456789abcdef"].iter().chain(&others) {
            File::create(folder.join(name)).unwrap().set_modified(old).unwrap();
        }
        std::fs::write(folder.join("store.lock.00000000000000ff"), "being written").unwrap();
        drop(FileStorage::open(&path).unwrap());
        let expected = [&others[..1], &["store", "store.lock.00000000000000ff"], &others[1..]].concat();
        assert_eq!(listing(folder), expected);
    });
}

#[cfg(unix)]
#[test]
fn a_process_killed_while_it_removed_a_stale_lock_does_not_keep_the_next_one_out() {
    in_a_folder(|folder| {
        let path = folder.join("store");
        drop(FileStorage::open(&path).unwrap());
        let mut dead = std::process::Command::new("true").spawn().unwrap();
        dead.wait().unwrap();
        let host = host::name().unwrap();
        let text = |pid: u32| format!("{{\"pid\":{pid},\"host\":\"{host}\",\"since\":\"then\"}}");
        let guard = folder.join("store.lock.takeover");
        for (pid, is_stale) in [(dead.id(), true), (std::process::id(), false)] {
            std::fs::write(folder.join("store.lock"), text(dead.id())).unwrap();
            std::fs::write(&guard, text(pid)).unwrap();
            match FileStorage::open(&path) {
                Ok(_) => assert!(is_stale, "two remove a stale lock at once"),
                Err(error) => assert!(!is_stale, "{error}"),
            }
            let left: &[&str] =
                if is_stale { &["store"] } else { &["store", "store.lock", "store.lock.takeover"] };
            assert_eq!(listing(folder), left);
        }
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
        assert_eq!(listing(folder), ["empty"]);
        let nowhere = folder.join("no").join("store");
        assert!(matches!(FileStorage::open(nowhere), Err(Error::Storage { operation: "open", .. })));
    });
}

#[cfg(unix)]
#[test]
fn what_a_process_killed_while_it_made_a_store_has_left_is_removed_when_that_store_is_made() {
    in_a_folder(|folder| {
        let others = ["other.123.new", "store.1x.new", "store.new"];
        for name in others.iter().chain(&["store.123.new"]) {
            std::fs::write(folder.join(name), "a draft").unwrap();
        }
        drop(FileStorage::open(folder.join("store")).unwrap());
        assert_eq!(listing(folder), ["other.123.new", "store", "store.1x.new", "store.new"]);
    });
}

#[cfg(unix)]
#[test]
fn a_store_with_two_names_is_refused_by_each_of_them() {
    in_a_folder(|folder| {
        let (path, other) = (folder.join("store"), folder.join("other"));
        let storage = FileStorage::open(&path).unwrap();
        std::fs::hard_link(&path, &other).unwrap();
        for name in [&path, &other] {
            assert!(matches!(FileStorage::open(name), Err(Error::Locked { .. })), "it is open");
        }
        drop(storage);
        for name in [&path, &other] {
            let Err(Error::Storage { operation: "open", reason }) = FileStorage::open(name) else {
                panic!("it was opened");
            };
            assert!(reason.contains("it has 2 names (hard links)"), "{reason}");
        }
        assert_eq!(listing(folder), ["other", "store"]);
        std::fs::remove_file(&other).unwrap();
        FileStorage::open(&path).unwrap();
    });
}
