//! The load that every measured engine gets, byte for byte, and how measurements are told.
//!
//! Programs print one `name value` pair a line; `run.mjs` collects them. `etcd/main.go` makes the same load in Go:
//! a change here must be made there too, or the engines no longer do the same work.

#[cfg(unix)]
pub mod bound;

use std::hint::black_box;
use std::time::{Duration, Instant};

/// Bytes of every key: `/registry/pods/ns-0042/p-00042017`.
pub const KEY_BYTES: usize = 33;
/// Bytes of every value.
pub const VALUE_BYTES: usize = 128;
/// Puts between two syncs: etcd's backend commits after 10,000 operations or 100 ms.
pub const PUTS_PER_SYNC: usize = 10_000;
/// Time between two syncs.
pub const SYNC_INTERVAL: Duration = Duration::from_millis(100);

/// Random bytes that all values are cut from, so that no two neighbours are alike and none can be compressed.
const POOL_BYTES: usize = 1 << 20;
/// A prime that spreads the values over the pool.
const POOL_STEP: usize = 7919;
const SEED: u64 = 88_172_645_463_325_252;

/// A key.
pub type Key = [u8; KEY_BYTES];
/// What a measuring program answers.
pub type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// The generator xorshift64*: the same numbers in every run, in Rust and in Go.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Default for Random {
    fn default() -> Self {
        Self(SEED)
    }
}

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// A number from 0 to `end`, which is not part of it.
    pub fn below(&mut self, end: usize) -> usize {
        (((self.next() >> 32) * end as u64) >> 32) as usize
    }

    fn shuffle(&mut self, items: &mut [u32]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }
}

/// Which keys are put in which order, with which values: in rounds over all keys, each in a new random order, until
/// there are enough puts.
#[derive(Debug)]
pub struct Load {
    keys: Vec<Key>,
    order: Vec<u32>,
    pool: Vec<u8>,
}

impl Load {
    /// A load of `puts` puts over `keys` keys.
    ///
    /// # Errors
    /// More keys than the key's format has room for.
    pub fn new(keys: usize, puts: usize) -> Outcome<Self> {
        if keys == 0 || keys > 10_000_000 {
            return Err(format!("{keys} keys do not fit the format of the keys").into());
        }
        let mut random = Random::default();
        let mut round: Vec<u32> = (0..u32::try_from(keys)?).collect();
        let mut order = Vec::with_capacity(puts);
        while order.len() < puts {
            random.shuffle(&mut round);
            order.extend(round.iter().take(puts - order.len()));
        }
        let pool = (0..POOL_BYTES).map(|_| random.next().to_le_bytes()[0]).collect();
        let keys = (0..keys).map(key).collect::<Outcome<_>>()?;
        Ok(Self { keys, order, pool })
    }

    /// All keys, in their order.
    #[must_use]
    pub fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// How many puts there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether there is no put.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Keys and values of all puts, in bytes.
    #[must_use]
    pub fn payload_bytes(&self) -> usize {
        self.len() * (KEY_BYTES + VALUE_BYTES)
    }

    /// The puts, in their order.
    pub fn puts(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.order.iter().enumerate().map(|(put, &key)| (&self.keys[key as usize][..], self.value(put)))
    }

    /// The value of one put.
    #[must_use]
    pub fn value(&self, put: usize) -> &[u8] {
        let start = put * POOL_STEP % (POOL_BYTES - VALUE_BYTES);
        &self.pool[start..start + VALUE_BYTES]
    }

    /// What a thousand random keys must hold after the first `puts` puts: what a timed read returned so quickly must
    /// also have been right.
    #[must_use]
    pub fn expected(&self, puts: usize) -> Vec<(&Key, Option<&[u8]>)> {
        let mut newest = vec![None; self.keys.len()];
        for (put, &key) in self.order.iter().take(puts).enumerate() {
            newest[key as usize] = Some(put);
        }
        let picks = self.picks(1000);
        picks.iter().map(|&key| (&self.keys[key], newest[key].map(|put| self.value(put)))).collect()
    }

    /// So many random places among the keys.
    #[must_use]
    pub fn picks(&self, count: usize) -> Vec<usize> {
        let mut random = Random::default();
        (0..count).map(|_| random.below(self.keys.len())).collect()
    }

    /// The bounds of so many random intervals of `length` keys each: the first key, and the first one after them.
    #[must_use]
    pub fn intervals(&self, count: usize, length: usize) -> Vec<(&Key, &Key)> {
        let mut random = Random::default();
        let starts = (0..count).map(|_| random.below(self.keys.len() - length));
        starts.map(|start| (&self.keys[start], &self.keys[start + length])).collect()
    }
}

fn key(number: usize) -> Outcome<Key> {
    let text = format!("/registry/pods/ns-{:04}/p-{number:08}", number / 1000);
    Ok(text.as_bytes().try_into()?)
}

/// Reads the ends of a record, so that a store that answers with a mere address has to bring the bytes too.
pub fn touch(key: &[u8], value: &[u8]) {
    black_box((key.first(), key.last(), value.first(), value.last()));
}

/// Prints one measurement.
#[expect(clippy::print_stdout, reason = "this is how the programs answer")]
pub fn tell(name: &str, value: f64) {
    println!("{name} {value:.6}");
}

/// Prints how often a second something was done.
pub fn tell_rate(name: &str, (times, took): (usize, Duration)) {
    tell(name, times as f64 / took.as_secs_f64());
}

/// How long `work` takes, with what it answers.
///
/// # Errors
/// Those of `work`.
pub fn timed<T>(work: impl FnOnce() -> Outcome<T>) -> Outcome<(T, Duration)> {
    let start = Instant::now();
    let answer = work()?;
    Ok((answer, start.elapsed()))
}

/// A duration in milliseconds.
#[must_use]
pub fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// Durations of one kind of call.
#[derive(Debug, Default)]
pub struct Samples(Vec<Duration>);

impl Samples {
    /// Adds one.
    pub fn add(&mut self, duration: Duration) {
        self.0.push(duration);
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Their sum.
    #[must_use]
    pub fn total(&self) -> Duration {
        self.0.iter().sum()
    }

    /// The longest; zero if there is none.
    #[must_use]
    pub fn longest(&self) -> Duration {
        self.0.iter().max().copied().unwrap_or_default()
    }

    /// The one that so many of a thousand do not exceed; zero if there is none.
    #[must_use]
    pub fn per_mille(&self, share: usize) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let place = (sorted.len() * share / 1000).min(sorted.len().saturating_sub(1));
        sorted.get(place).copied().unwrap_or_default()
    }
}
