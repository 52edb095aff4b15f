//! Two processes that open one store again and again: one has it at a time, and nothing that either wrote is lost.

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};

use palimpsest_kv::storage::FileStorage;
use palimpsest_kv::{Options, Revision, Store};

/// What a process of `writer hammer` has said.
#[derive(Default)]
struct Said {
    /// Keys by the revision they were put in.
    keys: BTreeMap<u64, String>,
    /// Who had the store when it could not be opened.
    holders: Vec<String>,
}

fn ended(writer: Child) -> Said {
    let output = writer.wait_with_output().unwrap();
    assert!(output.status.success(), "the writer ended with {}", output.status);
    let mut said = Said::default();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        match line.strip_prefix("locked: ") {
            Some(holder) => said.holders.push(holder.to_owned()),
            None => {
                let (revision, key) = line.split_once(' ').unwrap();
                said.keys.insert(revision.parse().unwrap(), key.to_owned());
            }
        }
    }
    said
}

/// What runs a program in a pid namespace of its own, as containers do, with the host's name and files.
const CONTAINER: [&str; 5] = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"];

#[test]
fn two_processes_that_open_one_store_again_and_again_exclude_each_other() {
    let said = exclude_each_other(&[]);
    for ((_, said), (other, _)) in [(&said[0], &said[1]), (&said[1], &said[0])] {
        let words = format!("process {other} on ");
        let named = said.holders.iter().filter(|holder| holder.contains(&words)).count();
        assert!(named > 0, "it was told who has the store: {:?}", said.holders);
    }
}

#[test]
fn two_processes_that_can_t_see_each_other_exclude_each_other() {
    let [program, arguments @ ..] = CONTAINER;
    let is_contained = Command::new(program).args(arguments).arg("true").stderr(Stdio::null()).status();
    if !is_contained.is_ok_and(|status| status.success()) {
        println!("skipped: no pid namespace can be made here");
        return;
    }
    exclude_each_other(&CONTAINER);
}

/// Has two writers open a store, each run by what is given, and looks whether all they wrote is there once. Answers what each said, with its
/// number.
fn exclude_each_other(runner: &[&str]) -> [(u32, Said); 2] {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store.plm");
    let begin = || {
        let writer = [env!("CARGO_BIN_EXE_writer"), "hammer", file.to_str().unwrap(), "1"];
        let words = [runner, &writer].concat();
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).stdout(Stdio::piped()).spawn().unwrap()
    };
    let writers = [begin(), begin()];
    let pids = writers.each_ref().map(Child::id);
    let [one, other] = writers.map(ended);
    let counts = [&one, &other].map(|said| (said.keys.len(), said.holders.len()));
    println!("(opened, locked): {counts:?}");
    assert!(counts.iter().all(|(opened, _)| *opened >= 3), "each of them had its turns: {counts:?}");
    let store = Store::open(FileStorage::open(&file).unwrap(), Options::default()).unwrap();
    let shared: Vec<_> = one.keys.keys().filter(|revision| other.keys.contains_key(revision)).collect();
    assert!(shared.is_empty(), "both were told that they wrote the revisions {shared:?}");
    for (revision, key) in one.keys.iter().chain(&other.keys) {
        // Processes that can't see each other may have one number, and so write the same keys.
        let then = store.read_at(Revision::new(*revision)).unwrap();
        let entry = then.get(key).unwrap().unwrap_or_else(|| panic!("{key} of revision {revision} is lost"));
        assert_eq!(entry.mod_revision().get(), *revision, "{key}");
    }
    assert_eq!(store.revision().get(), 1 + (one.keys.len() + other.keys.len()) as u64);
    let left: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "the store and its lock: {left:?}");
    [(pids[0], one), (pids[1], other)]
}
