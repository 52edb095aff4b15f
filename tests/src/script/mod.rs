//! Worked cases as text: one command a line, what it must answer behind `=>`.
//!
//! | command | answer |
//! | --- | --- |
//! | `put KEY VALUE [lease N] [previous]` | `revision N`, and `before` the entry that was there |
//! | `delete KEYS [previous]` | `revision N, deleted N`, and `before` the entries that were there |
//! | `get KEY [at N]` | an entry, or `none` |
//! | `range KEYS [at N] [limit N] [keys] ...` | entries, `more` if there are, `of` how many, `; revision N` |
//! | `count KEYS [at N] [limit N]` | a number |
//! | `txn CONDITION ... then OP; ... else OP; ...` | `then` or `else`, the answers, `; revision N` |
//! | `compact N`, `run`, `reopen`, `flush` | `compacted N`, `idle`, `revision N`, `revision N` |
//! | `snapshot NAME [at N]`, `drop NAME` | `revision N`, `dropped` |
//! | `from NAME get ...`, `from NAME range ...`, `from NAME count ...` | as without `from` |
//! | `grant N SECONDS`, `renew N`, `revoke N` | `lease N for SECONDS`, `SECONDS`, `revision N, deleted N` |
//! | `lease N`, `pass SECONDS` | seconds left and keys, or `none`; `revision N` |
//! | `watch NAME KEYS [from N] [puts] [deletes] [previous] [fragments N] [progress SECONDS]` | `watching` |
//! | `poll NAME`, `progress NAME`, `cancel NAME` | events and `; up to N`, or `idle`; a number or `none`; `cancelled` |
//! | `hash N`, `quota N` | a number, `set` |
//! | `numbers` | `live N, keys N, records N, dead N` |
//! | `revisions` | `current N, compacted N, finished N` |
//!
//! Keys are `a`, `[a,c)`, `a*` (prefix), `a..` (from there on) and `*`; `''` is no byte at all. An entry is
//! `key=value(create,mod,version)`, with its lease if it has one; a put of the value `=`, or with the lease `=`, keeps what there is.
//! A condition is `version:KEYS=N`, `create:`, `mod:`, `lease:` or `value:`, with `=`, `!`, `<` or `>`.
//! Operations are `put ...`, `delete ...`, `get KEYS ...` with the words of `range`, and `{ CONDITION ... then ... else ... }`. The words of a
//! range besides those above are `by key|version|create|mod|value`, `down`, `modified A-B`, `created A-B`, `counted` and `only`. An event is
//! an entry, or `key!revision` for a delete, and in angle brackets what was there before. An error is its code and its numbers.

use std::collections::BTreeMap;
use std::time::Duration;

use palimpsest_kv::{
    Budget, Entry, Options, RangeRequest, Revision, Snapshot, Store, Time, Watched, Watcher,
};

use crate::faulty::FaultyStorage;
use crate::sim::{SimClock, run_until_idle};

mod words;

use words::{after, bytes, describe, entry, found, keys, lease_id, narrow, number, text};

/// A store that a script is run on.
struct Session {
    disk: FaultyStorage,
    store: Option<Store<FaultyStorage>>,
    snapshots: BTreeMap<String, Snapshot<FaultyStorage>>,
    watchers: BTreeMap<String, Watcher>,
    clock: SimClock,
    options: Options,
}

/// Runs a script on a new store and compares every answer.
///
/// # Panics
/// If an answer differs, with the whole script as it went.
#[track_caller]
pub fn check(script: &str) {
    check_with(options(), script);
}

/// The same on a store that takes more operations in a transaction.
///
/// # Panics
/// As [`check`].
#[track_caller]
pub fn check_roomy(script: &str) {
    check_with(Options { max_txn_ops: 16, ..options() }, script);
}

#[track_caller]
fn check_with(options: Options, script: &str) {
    let disk = FaultyStorage::new();
    let store = Store::open(disk.clone(), options.clone()).expect("an empty disk becomes a store");
    let (snapshots, watchers, clock) = (BTreeMap::new(), BTreeMap::new(), SimClock::ticking(1));
    let mut session = Session { disk, store: Some(store), snapshots, watchers, clock, options };
    let mut expected = String::new();
    let mut seen = String::new();
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (command, answer) = line.split_once("=>").expect("a line has an answer");
        let (command, answer) = (command.trim(), answer.trim());
        let real = session.run(command).unwrap_or_else(|error| describe(&error));
        expected.push_str(&format!("{command} => {answer}\n"));
        seen.push_str(&format!("{command} => {real}\n"));
        session.store().check().expect("the store is sound after every command");
    }
    assert!(!seen.is_empty(), "a script has commands");
    assert!(
        seen == expected,
        "the script went otherwise.\nIt should have gone:\n{expected}\nIt went:\n{seen}"
    );
}

fn options() -> Options {
    Options {
        page_bytes: 512,
        max_key_bytes: 8,
        max_value_bytes: 8,
        max_txn_ops: 3,
        compaction_pause: Duration::from_millis(1),
        store_id: Some(1),
        ..Options::default()
    }
}

fn read(request: RangeRequest<'_, FaultyStorage>, words: &[&str]) -> palimpsest_kv::Result<String> {
    let rest = words.get(2..).unwrap_or(&[]);
    let request = after(rest, "at").map(number).into_iter().fold(request, |request, at| request.at(at));
    let limit = after(rest, "limit").map(narrow);
    let request = limit.into_iter().fold(request, |request, limit| request.limit(limit));
    if words.first() == Some(&"count") {
        return Ok(request.count()?.to_string());
    }
    let result = if rest.contains(&"keys") { request.keys_only() } else { request }.collect()?;
    Ok(format!("{}; revision {}", found(&result), result.revision))
}

fn got(found: Option<Entry>) -> String {
    found.as_ref().map_or("none".to_owned(), entry)
}

impl Session {
    fn store(&mut self) -> &mut Store<FaultyStorage> {
        self.store.as_mut().expect("the store is open")
    }

    fn run(&mut self, command: &str) -> palimpsest_kv::Result<String> {
        let words: Vec<&str> = command.split_whitespace().collect();
        Ok(match words.as_slice() {
            ["put", rest @ ..] => {
                let done = self.store().put_with(&words::put(rest))?;
                format!("revision {}{}", done.revision, words::before(done.previous.as_ref()))
            }
            ["delete", rest @ ..] => {
                let done = self.store().delete_with(&words::delete(rest))?;
                let before = words::befores(&done.previous);
                format!("revision {}, deleted {}{before}", done.revision, done.deleted)
            }
            ["get", key] => got(self.store().get(bytes(key))?),
            ["get", key, "at", at] => got(self.store().read_at(number(at))?.get(bytes(key))?),
            ["range", rest @ ..] => {
                let result = self.store().read(&words::read(rest))?;
                format!("{}; revision {}", found(&result), result.revision)
            }
            ["count", of, ..] => read(self.store().range(keys(of)), &words)?,
            ["txn", ..] => self.txn(command)?,
            ["compact", at] => format!("compacted {}", self.store().compact(number(at))?.revision),
            ["snapshot", name, rest @ ..] => self.snapshot(name, after(rest, "at").map(number))?,
            ["drop", name] => {
                self.snapshots.remove(*name).expect("the snapshot is open");
                "dropped".to_owned()
            }
            ["from", name, rest @ ..] => self.read_snapshot(name, rest)?,
            ["hash", at] => self.store().hash_kv(number(at))?.hash.to_string(),
            ["quota", bytes] => {
                self.store().set_quota(Some(number(bytes)).filter(|bytes| *bytes > 0));
                "set".to_owned()
            }
            ["grant" | "renew" | "revoke" | "lease" | "pass", ..] => self.lease(&words)?,
            ["watch" | "poll" | "progress" | "cancel", ..] => self.watch(&words)?,
            _ => return self.upkeep(command),
        })
    }

    fn lease(&mut self, words: &[&str]) -> palimpsest_kv::Result<String> {
        let now = self.clock.peek();
        Ok(match words {
            ["grant", id, seconds] => {
                let ttl = Duration::from_secs(number(seconds));
                let lease = self.store().grant_lease_as(lease_id(id), ttl)?;
                format!("lease {} for {}", lease.id, lease.ttl.as_secs())
            }
            ["renew", id] => self.store().keep_alive(lease_id(id))?.as_secs().to_string(),
            ["revoke", id] => {
                let done = self.store().revoke_lease(lease_id(id))?;
                format!("revision {}, deleted {}", done.revision, done.deleted)
            }
            ["lease", id] => match self.store().lease(lease_id(id), now) {
                None => "none".to_owned(),
                Some(status) => {
                    let keys = self.store().lease_keys(lease_id(id));
                    let keys: Vec<String> = keys.iter().map(|key| format!(" {}", text(key))).collect();
                    format!("{}{}", status.remaining.as_millis().div_ceil(1_000), keys.concat())
                }
            },
            ["pass", seconds] => {
                // Once for what has just begun to be seen, and once for what is over by then.
                self.run_idle();
                self.clock.advance_to(Time::from_micros(now.as_micros() + number(seconds) * 1_000_000));
                self.run_idle();
                format!("revision {}", self.store().revision())
            }
            other => panic!("{other:?} is no command"),
        })
    }

    fn run_idle(&mut self) {
        let store = self.store.as_mut().expect("the store is open");
        run_until_idle(store, &self.clock, Budget::millis(2));
    }

    fn watch(&mut self, words: &[&str]) -> palimpsest_kv::Result<String> {
        let [command, name, rest @ ..] = words else { panic!("{words:?} is no command") };
        let store = self.store.as_mut().expect("the store is open");
        if let ("watch", [of, rest @ ..]) = (*command, rest) {
            let watcher = words::watch(store.watch(keys(of)), rest).start()?;
            self.watchers.insert((*name).to_owned(), watcher);
            return Ok("watching".to_owned());
        }
        let watcher = self.watchers.get(*name).expect("the watcher was begun");
        Ok(match *command {
            "poll" => match store.poll(watcher)? {
                Watched::Batch(batch) => words::batch(&batch),
                Watched::Behind => "behind".to_owned(),
                Watched::Idle => "idle".to_owned(),
            },
            "progress" => store.progress(watcher)?.map_or("none".to_owned(), |to| to.to_string()),
            _ => {
                store.cancel_id(watcher.id());
                "cancelled".to_owned()
            }
        })
    }

    fn upkeep(&mut self, command: &str) -> palimpsest_kv::Result<String> {
        match command {
            "run" => {
                self.run_idle();
                Ok("idle".to_owned())
            }
            "flush" => Ok(format!("revision {}", self.store().flush()?)),
            "reopen" => {
                self.snapshots.clear();
                self.watchers.clear();
                self.store.take().expect("the store is open").close()?;
                let store = self.store.insert(Store::open(self.disk.clone(), self.options.clone())?);
                Ok(format!("revision {}", store.revision()))
            }
            "numbers" => {
                let status = self.store().status()?;
                let (live, keys) = (status.live_keys, status.keys);
                Ok(format!(
                    "live {live}, keys {keys}, records {}, dead {}",
                    status.records, status.dead_records
                ))
            }
            "revisions" => {
                let status = self.store().status()?;
                let word = |revision: Option<Revision>| {
                    revision.map_or("-".to_owned(), |revision| revision.to_string())
                };
                let (compacted, finished) = (word(status.compacted), word(status.finished));
                Ok(format!("current {}, compacted {compacted}, finished {finished}", status.revision))
            }
            other => panic!("{other} is no command"),
        }
    }

    fn snapshot(&mut self, name: &str, at: Option<u64>) -> palimpsest_kv::Result<String> {
        let store = self.store();
        let snapshot = match at {
            Some(at) => store.read_at(at)?,
            None => store.snapshot(),
        };
        let revision = snapshot.revision();
        self.snapshots.insert(name.to_owned(), snapshot);
        Ok(format!("revision {revision}"))
    }

    fn read_snapshot(&self, name: &str, words: &[&str]) -> palimpsest_kv::Result<String> {
        let snapshot = self.snapshots.get(name).expect("the snapshot is open");
        match words {
            ["get", key] => Ok(got(snapshot.get(bytes(key))?)),
            ["range" | "count", of, ..] => read(snapshot.range(keys(of)), words),
            other => panic!("{other:?} is no command"),
        }
    }

    fn txn(&mut self, command: &str) -> palimpsest_kv::Result<String> {
        let spaced = command.replace(';', " ; ");
        let transaction = words::transaction(&mut spaced.split_whitespace().skip(1));
        let done = self.store().commit(&transaction)?;
        Ok(format!("{}; revision {}", words::committed(&done), done.revision))
    }
}
