//! A program that writes to a store in a file and says what was acknowledged, to be killed or to be met by another one.
//!
//! `writer acknowledge FILE SEED` writes the ledger without end: `written 7` says that revision 7 is durable, `compacted 5` that
//! nothing below revision 5 can be read any more. `writer hammer FILE SECONDS` opens the store, puts one key and closes it, again and again:
//! `7 key` says that the key was put in revision 7, `locked: ...` that another has the store. What it writes is on its way to the
//! reader as soon as the line ends.

use std::error::Error;
use std::io::Write;
use std::time::{Duration, Instant};

use palimpsest_kv::storage::FileStorage;
use palimpsest_kv::{Budget, Durability, Error as StoreError, Options, Store, SystemClock};
use palimpsest_kv_tests::ledger;
use palimpsest_kv_tests::rng::Rng;

type Answer = Result<(), Box<dyn Error>>;

fn acknowledge(file: &str, seed: u64) -> Answer {
    let options = Options {
        compaction_batch_limit: 20,
        compaction_pause: Duration::ZERO,
        flush_interval: Duration::from_millis(2),
        ..Options::default()
    };
    let mut store = Store::open(FileStorage::open(file)?, options)?;
    let mut rng = Rng::new(seed);
    let clock = SystemClock::new();
    let mut out = std::io::stdout();
    loop {
        match rng.below(24) {
            0 => {
                let revision = store.revision().get().saturating_sub(rng.below(60));
                match store.compact(revision) {
                    Ok(compaction) => writeln!(out, "compacted {}", compaction.revision)?,
                    Err(StoreError::Compacted { .. }) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            1 => store.checkpoint()?,
            2..=5 => drop(store.run(&clock, Budget::micros(rng.below(1_500)))?),
            6 | 7 => drop(ledger::write(&mut store, Durability::Relaxed)?),
            _ => writeln!(out, "written {}", ledger::write(&mut store, Durability::Strict)?)?,
        }
    }
}

fn hammer(file: &str, seconds: f64) -> Answer {
    let end = Instant::now() + Duration::try_from_secs_f64(seconds)?;
    let mut out = std::io::stdout();
    let mut number = 0;
    while Instant::now() < end {
        match FileStorage::open(file) {
            Ok(storage) => {
                let mut store = Store::open(storage, Options::default())?;
                number += 1;
                let key = format!("native-{}-{number}", std::process::id());
                let written = store.put(&key, "")?;
                store.close()?;
                writeln!(out, "{} {key}", written.revision)?;
            }
            Err(StoreError::Locked { holder }) => writeln!(out, "locked: {holder}")?,
            Err(error) => return Err(error.into()),
        }
        // The other one gets its chance.
        std::thread::sleep(Duration::from_micros(300));
    }
    Ok(())
}

fn main() -> Answer {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["acknowledge", file, seed] => acknowledge(file, seed.parse()?),
        ["hammer", file, seconds] => hammer(file, seconds.parse()?),
        _ => Err("usage: writer acknowledge FILE SEED | writer hammer FILE SECONDS".into()),
    }
}
