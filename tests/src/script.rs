//! Worked cases as text: one command a line, what it must answer behind `=>`.
//!
//! | command | answer |
//! | --- | --- |
//! | `put KEY VALUE` | `revision N` |
//! | `delete KEYS` | `revision N, deleted N` |
//! | `get KEY [at N]` | an entry, or `none` |
//! | `range KEYS [at N] [limit N] [keys]` | entries, `more` if there are, `; revision N` |
//! | `count KEYS [at N] [limit N]` | a number |
//! | `txn CONDITION ... then OP; ... else OP; ...` | `then` or `else`, the answers, `; revision N` |
//! | `compact N`, `run`, `reopen`, `flush` | `compacted N`, `idle`, `revision N`, `revision N` |
//! | `snapshot NAME [at N]`, `drop NAME` | `revision N`, `dropped` |
//! | `from NAME get ...`, `from NAME range ...`, `from NAME count ...` | as without `from` |
//! | `numbers` | `live N, keys N, records N, dead N` |
//! | `revisions` | `current N, compacted N, finished N` |
//!
//! Keys are `a`, `[a,c)`, `a*` (prefix), `a..` (from there on) and `*`; `''` is no byte at all. An entry is
//! `key=value(create,mod,version)`. A condition is `version:KEYS=N`, `create:`, `mod:` or `value:`, with `=`, `!`, `<` or `>`.
//! Operations are `put KEY VALUE`, `delete KEYS` and `get KEYS [at N] [limit N]`. An error is its code and its numbers.

use std::collections::BTreeMap;
use std::time::Duration;

use palimpsest_kv::{
    Budget, Compare, Entry, Error, Keys, Op, OpOutcome, Options, RangeRequest, Read, Revision, Snapshot,
    Store,
};

use crate::faulty::FaultyStorage;
use crate::sim::{SimClock, run_until_idle};

/// A store that a script is run on.
struct Session {
    disk: FaultyStorage,
    store: Option<Store<FaultyStorage>>,
    snapshots: BTreeMap<String, Snapshot<FaultyStorage>>,
    clock: SimClock,
}

/// Runs a script on a new store and compares every answer.
///
/// # Panics
/// If an answer differs, with the whole script as it went.
#[track_caller]
pub fn check(script: &str) {
    let disk = FaultyStorage::new();
    let store = Store::open(disk.clone(), options()).expect("an empty disk becomes a store");
    let clock = SimClock::ticking(1);
    let mut session = Session { disk, store: Some(store), snapshots: BTreeMap::new(), clock };
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

fn describe(error: &Error) -> String {
    let code = error.code();
    match error {
        Error::Compacted { requested, compacted } => format!("{code} {requested}, compacted {compacted}"),
        Error::FutureRevision { requested, current } => format!("{code} {requested}, current {current}"),
        Error::DuplicateKey { key } => format!("{code} {}", text(key)),
        Error::KeyTooLarge { bytes, limit } | Error::ValueTooLarge { bytes, limit } => {
            format!("{code} {bytes}, limit {limit}")
        }
        Error::TooManyOperations { operations, limit } => format!("{code} {operations}, limit {limit}"),
        _ => code.to_owned(),
    }
}

fn text(bytes: &[u8]) -> String {
    if bytes.is_empty() { "''".to_owned() } else { String::from_utf8_lossy(bytes).into_owned() }
}

fn bytes(word: &str) -> &[u8] {
    if word == "''" { b"" } else { word.as_bytes() }
}

fn keys(word: &str) -> Keys {
    if let Some((start, end)) =
        word.strip_prefix('[').and_then(|rest| rest.strip_suffix(')')?.split_once(','))
    {
        return Keys::interval(bytes(start), bytes(end));
    }
    match (word, word.strip_suffix('*'), word.strip_suffix("..")) {
        ("*", ..) => Keys::all(),
        (_, Some(prefix), _) => Keys::prefix(prefix),
        (_, _, Some(start)) => Keys::at_least(start),
        _ => Keys::one(bytes(word)),
    }
}

fn number(word: &str) -> u64 {
    word.parse().unwrap_or_else(|_| panic!("{word} is no number"))
}

fn narrow(word: &str) -> usize {
    word.parse().unwrap_or_else(|_| panic!("{word} is no number"))
}

/// The number behind a word such as `at`.
fn after<'a>(words: &[&'a str], name: &str) -> Option<&'a str> {
    let place = words.iter().position(|word| *word == name)?;
    words.get(place + 1).copied()
}

fn entry(entry: &Entry) -> String {
    let numbers = format!("({},{},{})", entry.create_revision(), entry.mod_revision(), entry.version());
    format!("{}={}{numbers}", text(entry.key()), text(entry.value()))
}

fn entries(entries: &[Entry], more: Option<&str>) -> String {
    let words: Vec<String> = entries.iter().map(entry).chain(more.map(str::to_owned)).collect();
    if words.is_empty() { "nothing".to_owned() } else { words.join(" ") }
}

fn compare(word: &str) -> Compare {
    let (target, rest) = word.split_once(':').unwrap_or_else(|| panic!("{word} is no condition"));
    let place = rest.find(['=', '!', '<', '>']).unwrap_or_else(|| panic!("{word} has no relation"));
    let (of, rest) = rest.split_at(place);
    let (relation, other) = rest.split_at(1);
    let of = keys(of);
    let side = match target {
        "version" => Compare::version(of),
        "create" => Compare::create_revision(of),
        "mod" => Compare::mod_revision(of),
        _ => {
            let side = Compare::value(of);
            return match relation {
                "=" => side.equals(bytes(other)),
                "!" => side.differs_from(bytes(other)),
                "<" => side.is_less_than(bytes(other)),
                _ => side.is_greater_than(bytes(other)),
            };
        }
    };
    match relation {
        "=" => side.equals(number(other)),
        "!" => side.differs_from(number(other)),
        "<" => side.is_less_than(number(other)),
        _ => side.is_greater_than(number(other)),
    }
}

fn operation(words: &[&str]) -> Op {
    match words {
        ["put", key, value] => Op::put(bytes(key), bytes(value)),
        ["delete", of] => Op::delete(keys(of)),
        ["get", of] => Op::get(keys(of)),
        ["get", of, rest @ ..] => {
            let limit = after(rest, "limit").map(narrow);
            let read = limit.into_iter().fold(Read::new(keys(of)), Read::limit);
            Op::from(after(rest, "at").map(number).into_iter().fold(read, Read::at))
        }
        other => panic!("{other:?} is no operation"),
    }
}

fn branch(text: &str) -> Vec<Op> {
    let parts = text.split(';').map(|part| part.split_whitespace().collect::<Vec<_>>());
    parts.filter(|words| !words.is_empty()).map(|words| operation(&words)).collect()
}

fn outcome(answer: &OpOutcome) -> String {
    match answer {
        OpOutcome::Put(_) => "put".to_owned(),
        OpOutcome::Deleted(done) => format!("deleted {}", done.deleted),
        OpOutcome::Read(result) => entries(&result.entries, result.more.then_some("more")),
        OpOutcome::Txn(done) => done.outcomes.iter().map(outcome).collect::<Vec<_>>().join(", "),
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
    let found = entries(&result.entries, result.more.then_some("more"));
    Ok(format!("{found}; revision {}", result.revision))
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
            ["put", key, value] => {
                format!("revision {}", self.store().put(bytes(key), bytes(value))?.revision)
            }
            ["delete", of] => {
                let done = self.store().delete(keys(of))?;
                format!("revision {}, deleted {}", done.revision, done.deleted)
            }
            ["get", key] => got(self.store().get(bytes(key))?),
            ["get", key, "at", at] => got(self.store().read_at(number(at))?.get(bytes(key))?),
            ["range" | "count", of, ..] => read(self.store().range(keys(of)), &words)?,
            ["txn", ..] => self.txn(command)?,
            ["compact", at] => format!("compacted {}", self.store().compact(number(at))?.revision),
            ["snapshot", name, rest @ ..] => self.snapshot(name, after(rest, "at").map(number))?,
            ["drop", name] => {
                self.snapshots.remove(*name).expect("the snapshot is open");
                "dropped".to_owned()
            }
            ["from", name, rest @ ..] => self.read_snapshot(name, rest)?,
            _ => return self.upkeep(command),
        })
    }

    fn upkeep(&mut self, command: &str) -> palimpsest_kv::Result<String> {
        match command {
            "run" => {
                run_until_idle(
                    self.store.as_mut().expect("the store is open"),
                    &self.clock,
                    Budget::millis(2),
                );
                Ok("idle".to_owned())
            }
            "flush" => Ok(format!("revision {}", self.store().flush()?)),
            "reopen" => {
                self.snapshots.clear();
                self.store.take().expect("the store is open").close()?;
                let store = self.store.insert(Store::open(self.disk.clone(), options())?);
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
        let body = command.strip_prefix("txn").unwrap_or(command);
        let (conditions, branches) = body.split_once("then").expect("a transaction has a branch");
        let (then, otherwise) = branches.split_once("else").unwrap_or((branches, ""));
        let mut txn = self.store().txn();
        for condition in conditions.split_whitespace() {
            txn = txn.when(compare(condition));
        }
        let done = txn.then(branch(then)).otherwise(branch(otherwise)).commit()?;
        let outcomes: Vec<String> = done.outcomes.iter().map(outcome).collect();
        let word = if done.succeeded { "then" } else { "else" };
        Ok(format!("{word} {}; revision {}", outcomes.join(", "), done.revision))
    }
}
