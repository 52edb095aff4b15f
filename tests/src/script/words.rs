//! The words of a script: what they stand for, and how an answer is written down.

use std::time::Duration;

use palimpsest_kv::{
    Compare, Delete, Entry, Error, Event, EventKind, Keys, LeaseId, Op, OpOutcome, Order, Previous, Put,
    RangeResult, Read, SortBy, Transaction, TxnOutcome, WatchBatch, WatchRequest,
};

use crate::faulty::FaultyStorage;

pub(super) fn describe(error: &Error) -> String {
    let code = error.code();
    match error {
        Error::Compacted { requested, compacted } => format!("{code} {requested}, compacted {compacted}"),
        Error::FutureRevision { requested, current } => format!("{code} {requested}, current {current}"),
        Error::DuplicateKey { key } => format!("{code} {}", text(key)),
        Error::KeyTooLarge { bytes, limit } | Error::ValueTooLarge { bytes, limit } => {
            format!("{code} {bytes}, limit {limit}")
        }
        Error::KeyNotFound { key } => format!("{code} {}", text(key)),
        Error::LeaseNotFound { lease } | Error::LeaseExists { lease } => format!("{code} {lease}"),
        Error::TooManyOperations { operations, limit } => format!("{code} {operations}, limit {limit}"),
        _ => code.to_owned(),
    }
}

pub(super) fn text(bytes: &[u8]) -> String {
    if bytes.is_empty() { "''".to_owned() } else { String::from_utf8_lossy(bytes).into_owned() }
}

pub(super) fn bytes(word: &str) -> &[u8] {
    if word == "''" { b"" } else { word.as_bytes() }
}

pub(super) fn keys(word: &str) -> Keys {
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

pub(super) fn number(word: &str) -> u64 {
    word.parse().unwrap_or_else(|_| panic!("{word} is no number"))
}

pub(super) fn narrow(word: &str) -> usize {
    word.parse().unwrap_or_else(|_| panic!("{word} is no number"))
}

/// The number behind a word such as `at`.
pub(super) fn after<'a>(words: &[&'a str], name: &str) -> Option<&'a str> {
    let place = words.iter().position(|word| *word == name)?;
    words.get(place + 1).copied()
}

pub(super) fn entry(entry: &Entry) -> String {
    let lease = entry.lease().map_or(String::new(), |lease| format!(",lease {lease}"));
    let (create, modified, version) = (entry.create_revision(), entry.mod_revision(), entry.version());
    let numbers = format!("({create},{modified},{version}{lease})");
    format!("{}={}{numbers}", text(entry.key()), text(entry.value()))
}

pub(super) fn entries(entries: &[Entry], more: Option<&str>) -> String {
    let words: Vec<String> = entries.iter().map(entry).chain(more.map(str::to_owned)).collect();
    if words.is_empty() { "nothing".to_owned() } else { words.join(" ") }
}

pub(super) fn compare(word: &str) -> Compare {
    let (target, rest) = word.split_once(':').unwrap_or_else(|| panic!("{word} is no condition"));
    let place = rest.find(['=', '!', '<', '>']).unwrap_or_else(|| panic!("{word} has no relation"));
    let (of, rest) = rest.split_at(place);
    let (relation, other) = rest.split_at(1);
    let of = keys(of);
    let side = match target {
        "version" => Compare::version(of),
        "create" => Compare::create_revision(of),
        "mod" => Compare::mod_revision(of),
        "lease" => Compare::lease(of),
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

pub(super) fn lease_id(word: &str) -> LeaseId {
    LeaseId::new(number(word)).unwrap_or_else(|| panic!("{word} is no lease"))
}

pub(super) fn put(words: &[&str]) -> Put {
    let [key, value, rest @ ..] = words else { panic!("{words:?} is no put") };
    let put = if *value == "=" { Put::keeping_value(bytes(key)) } else { Put::new(bytes(key), bytes(value)) };
    let put = match after(rest, "lease") {
        Some("=") => put.keep_lease(),
        Some(id) => put.lease(lease_id(id)),
        None => put,
    };
    if rest.contains(&"previous") { put.previous() } else { put }
}

pub(super) fn delete(words: &[&str]) -> Delete {
    let [of, rest @ ..] = words else { panic!("{words:?} is no delete") };
    let delete = Delete::new(keys(of));
    if rest.contains(&"previous") { delete.previous() } else { delete }
}

/// Two numbers, either of which may be absent.
fn span(word: &str) -> (u64, u64) {
    let (min, max) = word.split_once('-').unwrap_or_else(|| panic!("{word} has no ends"));
    let bound = |word: &str| if word.is_empty() { 0 } else { number(word) };
    (bound(min), bound(max))
}

pub(super) fn read(words: &[&str]) -> Read {
    let [of, rest @ ..] = words else { panic!("{words:?} is no read") };
    let mut read = Read::new(keys(of));
    if let Some(at) = after(rest, "at") {
        read = read.at(number(at));
    }
    if let Some(limit) = after(rest, "limit") {
        read = read.limit(narrow(limit));
    }
    if let Some((min, max)) = after(rest, "modified").map(span) {
        read = read.min_mod_revision(min).max_mod_revision(max);
    }
    if let Some((min, max)) = after(rest, "created").map(span) {
        read = read.min_create_revision(min).max_create_revision(max);
    }
    if let Some(by) = after(rest, "by") {
        let order = if rest.contains(&"down") { Order::Descending } else { Order::Ascending };
        let by = match by {
            "key" => SortBy::Key,
            "version" => SortBy::Version,
            "create" => SortBy::CreateRevision,
            "mod" => SortBy::ModRevision,
            _ => SortBy::Value,
        };
        read = read.sort(by, order);
    }
    if rest.contains(&"keys") {
        read = read.keys_only();
    }
    if rest.contains(&"counted") {
        read = read.with_count();
    }
    if rest.contains(&"only") { read.count_only() } else { read }
}

pub(super) fn found(result: &RangeResult) -> String {
    let count = result.count.map_or(String::new(), |count| format!(" of {count}"));
    format!("{}{count}", entries(&result.entries, result.more.then_some("more")))
}

pub(super) fn before(previous: Option<&Entry>) -> String {
    previous.map_or(String::new(), |previous| format!(", before {}", entry(previous)))
}

pub(super) fn befores(previous: &[Entry]) -> String {
    if previous.is_empty() { String::new() } else { format!(", before {}", entries(previous, None)) }
}

/// A transaction: `CONDITION ... then OP; ... else OP; ...`, up to the end or to the brace that closes it.
pub(super) fn transaction<'a>(words: &mut impl Iterator<Item = &'a str>) -> Transaction {
    let mut txn = Transaction::new();
    for word in words.by_ref().take_while(|word| *word != "then") {
        txn = txn.when(compare(word));
    }
    let (mut branches, mut op) = ([Vec::new(), Vec::new()], Vec::new());
    let mut place = 0;
    let end = |op: &mut Vec<&str>, branch: &mut Vec<Op>| {
        if !op.is_empty() {
            branch.push(operation(&std::mem::take(op)));
        }
    };
    while let Some(word) = words.next() {
        let branch = branches.get_mut(place).expect("a transaction has two branches");
        match word {
            ";" => end(&mut op, branch),
            "{" => branch.push(transaction(words).into()),
            "else" | "}" => {
                end(&mut op, branch);
                place += 1;
            }
            _ => op.push(word),
        }
        if word == "}" {
            break;
        }
    }
    if let Some(branch) = branches.get_mut(place) {
        end(&mut op, branch);
    }
    let [then, otherwise] = branches;
    txn.then(then).otherwise(otherwise)
}

fn operation(words: &[&str]) -> Op {
    match words {
        ["put", rest @ ..] => put(rest).into(),
        ["delete", rest @ ..] => delete(rest).into(),
        ["get", rest @ ..] => read(rest).into(),
        other => panic!("{other:?} is no operation"),
    }
}

pub(super) fn committed(done: &TxnOutcome) -> String {
    let outcomes: Vec<String> = done.outcomes.iter().map(outcome).collect();
    let word = if done.succeeded { "then" } else { "else" };
    format!("{word} {}", outcomes.join(", "))
}

fn outcome(answer: &OpOutcome) -> String {
    match answer {
        OpOutcome::Put(done) => format!("put{}", before(done.previous.as_ref())),
        OpOutcome::Deleted(done) => format!("deleted {}{}", done.deleted, befores(&done.previous)),
        OpOutcome::Read(result) => found(result),
        OpOutcome::Txn(done) => format!("{{ {} }}", committed(done).trim_end()),
    }
}

pub(super) fn watch<'a>(
    mut request: WatchRequest<'a, FaultyStorage>,
    words: &[&str],
) -> WatchRequest<'a, FaultyStorage> {
    if let Some(from) = after(words, "from") {
        request = request.from(number(from));
    }
    if words.contains(&"previous") {
        request = request.previous();
    }
    if words.contains(&"puts") {
        request = request.without_deletes();
    }
    if words.contains(&"deletes") {
        request = request.without_puts();
    }
    if let Some(bytes) = after(words, "fragments") {
        request = request.fragments(narrow(bytes));
    }
    match after(words, "progress") {
        Some(seconds) => request.progress(Duration::from_secs(number(seconds))),
        None => request,
    }
}

pub(super) fn batch(batch: &WatchBatch) -> String {
    let events: Vec<String> = batch.events.iter().map(event).collect();
    let rest = if batch.is_fragment { " ..." } else { "" };
    format!("{}{rest}; up to {}", events.join(" "), batch.revision).trim_start_matches("; ").to_owned()
}

fn event(event: &Event) -> String {
    let what = match event.kind {
        EventKind::Put => entry(&event.entry),
        EventKind::Delete => format!("{}!{}", text(event.entry.key()), event.entry.mod_revision()),
    };
    let before = match &event.previous {
        Previous::NotAsked => return what,
        Previous::Nothing => "nothing".to_owned(),
        Previous::Compacted => "compacted".to_owned(),
        Previous::Entry(previous) => entry(previous),
    };
    format!("{what}<{before}>")
}
