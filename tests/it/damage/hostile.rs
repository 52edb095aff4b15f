//! Damage with checksums that are right: an error or an answer, never a panic, an endless loop, or more memory than there are bytes.

use palimpsest_kv_tests::fuzzing::exercise;
use palimpsest_kv_tests::hostile::Image;
use palimpsest_kv_tests::rng::Rng;
use palimpsest_kv_tests::sample::{closed, left};

/// Stores made of each sample.
const SEEDS: u64 = 1_500;

/// Says which seed it was when a panic unwinds past it.
struct Doing<'a>(u64, &'a str);

impl Drop for Doing<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("seed {}: {}", self.0, self.1);
        }
    }
}

#[test]
fn a_store_that_says_what_can_not_be_is_refused_or_read() {
    for sample in [closed(), left()] {
        let mut used = 0;
        for seed in 0..SEEDS {
            let mut rng = Rng::new(seed);
            let mut image = Image::new(&sample.bytes);
            let what: Vec<String> = (0..1 + rng.below(3)).map(|_| image.change(&mut rng)).collect();
            let what = what.join("; ");
            let _doing = Doing(seed, &what);
            used += u64::from(exercise(image.bytes()).is_ok());
        }
        assert!((SEEDS / 10..SEEDS).contains(&used), "{used} of {SEEDS} changes did not matter");
    }
}
