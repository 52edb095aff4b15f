//! A process that is killed while it writes, again and again, on one file: what it was told is durable is there.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use palimpsest_kv::storage::FileStorage;
use palimpsest_kv::{Error, Keys, Options, Revision, Store};
use palimpsest_kv_tests::ledger::{Contents, change};
use palimpsest_kv_tests::replay::{Plan, episodes};
use palimpsest_kv_tests::rng::Rng;

/// What a writer has said before it was killed.
#[derive(Debug, Default)]
struct Said {
    written: Vec<u64>,
    compacted: Option<u64>,
}

impl Said {
    /// Takes a line in; one that was cut off in the middle says nothing.
    fn hear(&mut self, line: &str) {
        let Some((word, revision)) = line.strip_suffix('\n').and_then(|line| line.split_once(' ')) else {
            return;
        };
        let revision = revision.parse().unwrap();
        match word {
            "written" => self.written.push(revision),
            "compacted" => self.compacted = Some(revision),
            other => panic!("the writer said {other}"),
        }
    }
}

fn begin(file: &Path, seed: u64) -> (Child, BufReader<ChildStdout>) {
    let mut writer = Command::new(env!("CARGO_BIN_EXE_writer"))
        .args(["acknowledge", file.to_str().unwrap(), &seed.to_string()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(writer.stdout.take().unwrap());
    (writer, lines)
}

/// Lets a writer write for a while and kills it: while it opens the store, or some milliseconds after its first word.
fn killed(file: &Path, rng: &mut Rng) -> Said {
    let (mut writer, mut lines) = begin(file, rng.bits());
    let mut said = Said::default();
    let mut line = String::new();
    let delay = if rng.once_in(4) {
        rng.below(5_000)
    } else {
        lines.read_line(&mut line).unwrap();
        rng.below(20_000)
    };
    std::thread::sleep(Duration::from_micros(delay));
    writer.kill().unwrap();
    let end = writer.wait().unwrap();
    assert!(end.code().is_none(), "the writer came to an end of its own: {end}");
    loop {
        said.hear(&line);
        line.clear();
        if lines.read_line(&mut line).unwrap() == 0 {
            break;
        }
    }
    said
}

/// Opens the store without closing it afterwards, so that the next one recovers what this one has recovered.
fn check(file: &Path, said: &Said, contents: &mut Contents) {
    let store = Store::open(FileStorage::open(file).unwrap(), Options::default()).unwrap();
    if let Some(last) = said.written.last() {
        assert!(store.revision().get() >= *last, "{} is there, {last} was acknowledged", store.revision());
    }
    let compacted = store.status().unwrap().compacted.map_or(0, Revision::get);
    if let Some(revision) = said.compacted {
        assert!(compacted >= revision, "it is compacted to {compacted}, {revision} was acknowledged");
    }
    for revision in &said.written {
        let snapshot = match store.read_at(*revision) {
            Ok(snapshot) => snapshot,
            Err(Error::Compacted { .. }) if *revision < compacted => continue,
            Err(error) => panic!("revision {revision}: {error}"),
        };
        for (key, value) in change(*revision) {
            let found = snapshot.get(&key).unwrap().map(|entry| entry.value().to_vec());
            assert_eq!(found, value, "{key} at revision {revision}");
        }
    }
    contents.advance(store.revision());
    let found: Vec<(String, Vec<u8>)> = store
        .range(Keys::all())
        .collect()
        .unwrap()
        .entries
        .iter()
        .map(|entry| (String::from_utf8(entry.key().to_vec()).unwrap(), entry.value().to_vec()))
        .collect();
    assert_eq!(found, contents.entries(), "at revision {}", store.revision());
    store.check().unwrap();
}

#[test]
fn what_was_acknowledged_survives_two_hundred_kills() {
    episodes(Plan { seed: 1, episodes: 1, steps: 200 }, |rng, kills| {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("store.plm");
        let mut contents = Contents::default();
        let (mut acknowledged, mut compactions) = (0, 0);
        for _ in 0..kills {
            let said = killed(&file, rng);
            acknowledged += said.written.len();
            compactions += usize::from(said.compacted.is_some());
            check(&file, &said, &mut contents);
        }
        println!(
            "{kills} kills: {acknowledged} writes acknowledged, compacted in {compactions} of the lives"
        );
        assert!(acknowledged > kills / 2 && compactions > 0, "the writers got to do something");
    });
}
