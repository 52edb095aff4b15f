//! Measures stores without history under the same load: `palimpsest-kv-bench-peers ENGINE FOLDER KEYS PUTS`, where ENGINE
//! is `redb`, `fjall` or `lmdb`. None of them keeps earlier revisions, so that there is no past to read and nothing to
//! compact: what they hold at the end is one record a key.

mod fjall;
mod lmdb;
mod peer;
mod redb;

use std::path::Path;
use std::time::{Duration, Instant};
use std::{env, fs};

use palimpsest_kv_bench_workload::bound::{Durable, measure_durable};
use palimpsest_kv_bench_workload::{
    Load, Outcome, PUTS_PER_SYNC, SYNC_INTERVAL, millis, tell, tell_rate, timed, touch,
};

use crate::peer::Peer;

const GETS: usize = 500_000;
const RANGES: usize = 2_000;
const RANGE_ENTRIES: usize = 1_000;
const SNAPSHOTS: usize = 200_000;
const COUNTS: usize = 5;

fn main() -> Outcome<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [engine, folder, keys, puts] = &arguments[..] else {
        return Err("usage: palimpsest-kv-bench-peers ENGINE FOLDER KEYS PUTS".into());
    };
    let folder = tempfile::tempdir_in(folder)?;
    let load = Load::new(keys.parse()?, puts.parse()?)?;
    match engine.as_str() {
        "redb" => measure::<redb::Redb>(folder.path(), &load),
        "fjall" => measure::<fjall::Fjall>(folder.path(), &load),
        "lmdb" => measure::<lmdb::Lmdb>(folder.path(), &load),
        _ => Err(format!("there is no engine {engine}").into()),
    }
}

/// A peer whose transactions are durable.
struct Durably<P>(P);

impl<P: Peer> Durable for Durably<P> {
    fn put(&mut self, key: &[u8], value: &[u8]) -> Outcome<()> {
        self.0.put_durably(&[(key, value)])
    }

    fn put_all(&mut self, puts: &[(&[u8], &[u8])]) -> Outcome<()> {
        self.0.put_durably(puts)
    }
}

fn measure<P: Peer>(folder: &Path, load: &Load) -> Outcome<()> {
    let apart = tempfile::tempdir_in(folder)?;
    measure_durable(&mut Durably(P::open_durable(apart.path())?), load, apart.path())?;
    apart.close()?;
    let peer = P::open(folder)?;
    tell_rate("put_per_s", (load.len(), timed(|| fill(&peer, load))?.1));
    tell("flush_ms", millis(timed(|| peer.sync())?.1));
    gets(&peer, load)?;
    ranges(&peer, load)?;
    let start = Instant::now();
    for _ in 0..COUNTS {
        if peer.count()? != load.keys().len() as u64 {
            return Err("the count of all keys is wrong".into());
        }
    }
    tell("count_all_ms", millis(start.elapsed()) / COUNTS as f64);
    let start = Instant::now();
    for _ in 0..SNAPSHOTS {
        peer.snapshot()?;
    }
    tell("snapshot_ns", start.elapsed().as_nanos() as f64 / SNAPSHOTS as f64);
    verify(&peer, load)?;
    tell("close_ms", millis(timed(|| peer.close())?.1));
    tell("file_bytes", bytes_on_disk(folder)? as f64);
    let (peer, took) = timed(|| P::open(folder))?;
    tell("reopen_ms", millis(took));
    verify(&peer, load)?;
    peer.close()
}

/// One put a transaction, synced as often as etcd's backend commits.
fn fill<P: Peer>(peer: &P, load: &Load) -> Outcome<()> {
    let mut synced = Instant::now();
    for (put, (key, value)) in load.puts().enumerate() {
        peer.put(key, value)?;
        let is_due = put % 64 == 0 && synced.elapsed() >= SYNC_INTERVAL;
        if is_due || (put + 1) % PUTS_PER_SYNC == 0 {
            peer.sync()?;
            synced = Instant::now();
        }
    }
    Ok(())
}

fn time_gets<P: Peer>(peer: &P, load: &Load) -> Outcome<Duration> {
    let picks = load.picks(GETS);
    let start = Instant::now();
    for &pick in &picks {
        let key = &load.keys()[pick];
        peer.read(key, |value| value.map(|value| touch(key, value)))?.ok_or("a key is missing")?;
    }
    Ok(start.elapsed())
}

fn gets<P: Peer>(peer: &P, load: &Load) -> Outcome<()> {
    time_gets(peer, load)?; // warms up
    tell_rate("get_head_per_s", (GETS, time_gets(peer, load)?));
    Ok(())
}

fn ranges<P: Peer>(peer: &P, load: &Load) -> Outcome<()> {
    let intervals = load.intervals(RANGES, RANGE_ENTRIES);
    let start = Instant::now();
    for &(from, to) in &intervals {
        if peer.range(from, Some(to), usize::MAX)? != RANGE_ENTRIES {
            return Err("a range has the wrong number of entries".into());
        }
    }
    let took = start.elapsed();
    tell_rate("range_head_per_s", (RANGES, took));
    tell_rate("range_head_records_per_s", (RANGES * RANGE_ENTRIES, took));
    let start = Instant::now();
    for &(from, _) in &intervals {
        if peer.range(from, None, RANGE_ENTRIES)? != RANGE_ENTRIES {
            return Err("a limited range has the wrong number of entries".into());
        }
    }
    tell_rate("limit_open_range_per_s", (RANGES, start.elapsed()));
    Ok(())
}

fn verify<P: Peer>(peer: &P, load: &Load) -> Outcome<()> {
    for (key, expected) in load.expected(load.len()) {
        if !peer.read(key, |value| value == expected)? {
            return Err("a key has another value than was put".into());
        }
    }
    Ok(())
}

fn bytes_on_disk(folder: &Path) -> Outcome<u64> {
    use std::os::unix::fs::MetadataExt;
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        bytes += if metadata.is_dir() { bytes_on_disk(&entry.path())? } else { metadata.blocks() * 512 };
    }
    Ok(bytes)
}
