//! Measures the engine: `palimpsest-kv-bench serving MEDIUM KEYS PUTS` or
//! `palimpsest-kv-bench compaction MEDIUM KEYS PUTS unpaced|default` or `palimpsest-kv-bench durable FOLDER KEYS PUTS`, where MEDIUM is `memory` or a folder for the
//! store's file; `palimpsest-kv-bench churn MEDIUM KEYS PUTS REVISIONS` and `palimpsest-kv-bench shrinking MEDIUM KEYS PUTS`;
//! `palimpsest-kv-bench garbage KEYS...`, `palimpsest-kv-bench watching KEYS PUTS`, `palimpsest-kv-bench pinned KEYS PUTS`, `palimpsest-kv-bench leasing LEASES`, and `palimpsest-kv-bench machine` for
//! the machine under it. Every key beyond the first put of each is dead in a compaction: 100,000 keys and 1,000,000 puts are 90%.

use std::env;

use palimpsest_kv_bench::compaction::{self, Pace};
use palimpsest_kv_bench::medium::{InFile, InMemory, Medium};
use palimpsest_kv_bench::{churn, durable, garbage, leasing, machine, pinned, serving, shrinking, watching};
use palimpsest_kv_bench_workload::{Load, Outcome};

fn main() -> Outcome<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if arguments == ["machine"] {
        return machine::measure();
    }
    match &arguments[..] {
        [scenario, keys, puts] if scenario == "watching" => {
            return watching::measure(&Load::new(keys.parse()?, puts.parse()?)?);
        }
        [scenario, keys, puts] if scenario == "pinned" => {
            return pinned::measure(&Load::new(keys.parse()?, puts.parse()?)?);
        }
        [scenario, leases] if scenario == "leasing" => return leasing::measure(leases.parse()?),
        [scenario, sizes @ ..] if scenario == "garbage" => {
            let sizes = sizes.iter().map(|size| size.parse()).collect::<Result<Vec<usize>, _>>()?;
            return garbage::measure(&sizes);
        }
        _ => {}
    }
    let [_, medium, ..] = &arguments[..] else {
        return Err("usage: palimpsest-kv-bench SCENARIO MEDIUM KEYS PUTS [PACE]".into());
    };
    if medium == "memory" {
        return run(&InMemory, &arguments);
    }
    let folder = tempfile::tempdir_in(medium)?;
    if let [scenario, _, keys, puts] = &arguments[..]
        && scenario == "durable"
    {
        return durable::measure(folder.path(), &Load::new(keys.parse()?, puts.parse()?)?);
    }
    run(&InFile { path: folder.path().join("bench.plm") }, &arguments)
}

fn run<M: Medium>(medium: &M, arguments: &[String]) -> Outcome<()> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["serving", _, keys, puts] => serving::measure(medium, &Load::new(keys.parse()?, puts.parse()?)?),
        ["shrinking", _, keys, puts] => shrinking::measure(medium, &Load::new(keys.parse()?, puts.parse()?)?),
        ["churn", _, keys, puts, revisions] => {
            churn::measure(medium, &Load::new(keys.parse()?, puts.parse()?)?, revisions.parse()?)
        }
        ["compaction", _, keys, puts, pace] => {
            let pace = match pace {
                "unpaced" => Pace::Unpaced,
                "default" => Pace::Default,
                _ => return Err(format!("there is no pace {pace}").into()),
            };
            compaction::measure(medium, &Load::new(keys.parse()?, puts.parse()?)?, pace)
        }
        _ => Err("the arguments are described at the head of the program's source".into()),
    }
}
