//! Random operations on a store and on its obvious model, which must agree in everything that can be seen.
//!
//! The simulation does the same many times more, with crashes; here are the media and page sizes that it leaves out.

use palimpsest_kv_tests::action::Action;
use palimpsest_kv_tests::checked::Checked;
use palimpsest_kv_tests::faulty::FaultyStorage;
use palimpsest_kv_tests::generate::{Swarm, options};
use palimpsest_kv_tests::medium::{Image, InFile, Medium};
use palimpsest_kv_tests::replay::{Plan, episodes};
use palimpsest_kv_tests::rng::Rng;
use palimpsest_kv_tests::sim::SimClock;

/// After so many steps everything is compared, besides what each step answers.
const BATCH_STEPS: usize = 100;

/// How much of an action is worth printing.
const PRINTED_CHARS: usize = 400;

/// What is being done, for when it fails.
struct Doing<'a> {
    step: usize,
    action: &'a Action,
}

impl Doing<'_> {
    fn print(&self) {
        let text = format!("{:?}", self.action);
        eprintln!("step {}: {}", self.step, text.chars().take(PRINTED_CHARS).collect::<String>());
    }
}

impl Drop for Doing<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.print();
        }
    }
}

/// One run. With `TRACE` in the environment it prints each action before doing it.
fn run<M: Medium>(rng: &mut Rng, steps: usize, (medium, page_bytes): (M, usize)) {
    let options = options(rng, page_bytes);
    let swarm = Swarm::new(rng, M::POWER);
    let trace = std::env::var_os("TRACE").is_some();
    if trace {
        eprintln!("{options:?}\n{swarm:?}");
    }
    let clock = SimClock::ticking(rng.one_of(&[0, 1, 20, 700]));
    let mut checked = Checked::new(medium, options, clock);
    for step in 1..=steps {
        let action = swarm.next(rng, (checked.model(), checked.open_things()));
        let doing = Doing { step, action: &action };
        if trace {
            doing.print();
        }
        checked.apply(&action);
        if step % BATCH_STEPS == 0 {
            checked.verify(&mut Rng::new(step as u64));
        }
    }
    for action in [Action::RunUntilIdle, Action::Reopen] {
        let _doing = Doing { step: steps + 1, action: &action };
        checked.apply(&action);
        checked.verify(rng);
    }
}

fn runs_on_a_disk(page_bytes: usize, episodes_by_default: u64) {
    let plan = Plan { seed: page_bytes as u64, episodes: episodes_by_default, steps: 2_000 };
    episodes(plan, |rng, steps| run(rng, steps, (FaultyStorage::new(), page_bytes)));
}

#[test]
fn random_operations_agree_with_the_model_in_the_smallest_pages() {
    runs_on_a_disk(512, 15);
}

#[test]
fn random_operations_agree_with_the_model_in_small_pages() {
    runs_on_a_disk(1_024, 15);
}

#[test]
fn random_operations_agree_with_the_model_in_pages_of_the_default_size() {
    runs_on_a_disk(4_096, 25);
}

#[test]
fn random_operations_agree_with_the_model_in_the_largest_pages() {
    runs_on_a_disk(65_536, 10);
}

#[test]
fn random_operations_agree_with_the_model_in_memory() {
    let plan = Plan { seed: 1, episodes: 12, steps: 2_000 };
    episodes(plan, |rng, steps| {
        let page_bytes = rng.one_of(&[512, 2_048, 16_384]);
        run(rng, steps, (Image::default(), page_bytes));
    });
}

#[test]
fn random_operations_agree_with_the_model_in_a_file() {
    let plan = Plan { seed: 2, episodes: 6, steps: 500 };
    episodes(plan, |rng, steps| {
        let folder = tempfile::tempdir().expect("a folder for the file");
        let page_bytes = rng.one_of(&[512, 4_096, 8_192]);
        run(rng, steps, (InFile(folder.path().join("store")), page_bytes));
    });
}
