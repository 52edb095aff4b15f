//! What the disk allows, whatever the engine: writing 4 KiB over what is there, and syncing that, one after the other.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::{Load, Outcome, tell, tell_rate, timed};

const BLOCK_BYTES: usize = 4096;
/// The file is as large as what a log reuses.
const BLOCKS: u64 = 256;

/// A file that exists in full, so that writing to it changes nothing but its content.
#[derive(Debug)]
pub struct Bound {
    file: File,
    next: u64,
}

impl Bound {
    /// A new file in the folder.
    ///
    /// # Errors
    /// Those of the system.
    pub fn new(folder: &Path) -> Outcome<Self> {
        let path = folder.join("bound");
        let file = OpenOptions::new().create(true).truncate(true).write(true).open(path)?;
        for block in 0..BLOCKS {
            file.write_all_at(&[1; BLOCK_BYTES], block * BLOCK_BYTES as u64)?;
        }
        file.sync_all()?;
        Ok(Self { file, next: 0 })
    }

    /// How long one write takes, with its sync.
    ///
    /// # Errors
    /// Those of the system.
    pub fn time(&mut self) -> Outcome<Duration> {
        let start = Instant::now();
        self.next += 1;
        let block = [self.next.to_le_bytes()[0]; BLOCK_BYTES];
        self.file.write_all_at(&block, self.next % BLOCKS * BLOCK_BYTES as u64)?;
        self.file.sync_data()?;
        Ok(start.elapsed())
    }
}

/// Single durable puts.
const SINGLES: usize = 2_000;
/// Durable transactions of [`BATCH_PUTS`] puts each.
const BATCHES: usize = 400;
/// Puts in one batch.
const BATCH_PUTS: usize = 100;

/// What an engine does with durable writes.
pub trait Durable {
    /// Puts a key, durably when this returns.
    ///
    /// # Errors
    /// Those of the engine.
    fn put(&mut self, key: &[u8], value: &[u8]) -> Outcome<()>;

    /// Puts all of them in one transaction, durably when this returns.
    ///
    /// # Errors
    /// Those of the engine.
    fn put_all(&mut self, puts: &[(&[u8], &[u8])]) -> Outcome<()>;
}

/// Measures durable puts, one by one and in batches. Each takes its turn with a write that shows what the disk allows, since a disk's
/// pace changes from one second to the next.
///
/// # Errors
/// Those of the engine and of the system, and a load that is too short.
pub fn measure_durable(engine: &mut impl Durable, load: &Load, folder: &Path) -> Outcome<()> {
    let mut puts = load.puts();
    let mut file = Bound::new(folder)?;
    let (mut bound, mut single) = (Duration::ZERO, Duration::ZERO);
    for (key, value) in puts.by_ref().take(SINGLES) {
        bound += file.time()?;
        single += timed(|| engine.put(key, value))?.1;
    }
    tell_rate("durable_bound_per_s", (SINGLES, bound));
    tell_rate("durable_put_per_s", (SINGLES, single));
    tell("durable_put_of_bound", bound.as_secs_f64() / single.as_secs_f64());
    let (mut bound, mut batched) = (Duration::ZERO, Duration::ZERO);
    for _ in 0..BATCHES {
        let batch: Vec<(&[u8], &[u8])> = puts.by_ref().take(BATCH_PUTS).collect();
        if batch.len() < BATCH_PUTS {
            return Err("the load has too few puts".into());
        }
        bound += file.time()?;
        batched += timed(|| engine.put_all(&batch))?.1;
    }
    tell_rate("durable_batch_put_per_s", (BATCHES * BATCH_PUTS, batched));
    tell("durable_batch_of_bound", bound.as_secs_f64() / batched.as_secs_f64());
    Ok(())
}
