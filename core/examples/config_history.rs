//! A configuration whose every change is kept, compared with and rolled back to.
//!
//! Run with `cargo run --example config_history`.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use palimpsest_kv::{
    Compare, Entry, Error, Keys, Op, Options, Result, Revision, Store, storage::MemoryStorage,
};

type Config = Store<MemoryStorage>;

/// Changes a setting if nobody has changed it since it was read.
fn change(config: &mut Config, seen: &Entry, value: &str) -> Result<bool> {
    let unchanged = Compare::mod_revision(seen.key()).equals(seen.mod_revision().get());
    Ok(config.txn().when(unchanged).then([Op::put(seen.key(), value)]).commit()?.succeeded)
}

/// Makes the configuration what it was, as one transaction that is itself part of the history.
fn roll_back(config: &mut Config, revision: Revision) -> Result<Revision> {
    let then = config.range(Keys::all()).at(revision).collect()?.entries;
    let now = config.range(Keys::all()).collect()?.entries;
    let gone = now.iter().filter(|entry| then.iter().all(|old| old.key() != entry.key()));
    let undo: Vec<Op> = gone
        .map(|entry| Op::delete(entry.key()))
        .chain(then.iter().map(|entry| Op::put(entry.key(), entry.value())))
        .collect();
    Ok(config.txn().then(undo).commit()?.revision)
}

fn show(config: &Config, revision: Revision) -> Result<String> {
    let entries = config.range(Keys::all()).at(revision).collect()?.entries;
    let lines = entries.iter().map(|entry| {
        format!("{}={}", String::from_utf8_lossy(entry.key()), String::from_utf8_lossy(entry.value()))
    });
    Ok(lines.collect::<Vec<_>>().join(" "))
}

fn main() -> Result<()> {
    let mut config = Store::open(MemoryStorage::new(), Options::default())?;
    config.put("port", "80")?;
    let good = config.put("host", "example.org")?.revision;

    let seen = config.get("port")?.ok_or(Error::EmptyKey)?;
    assert!(change(&mut config, &seen, "8080")?, "nobody was faster");
    assert!(!change(&mut config, &seen, "9090")?, "the setting has changed since it was seen");
    config.put("debug", "yes")?;

    let bad = config.revision();
    let restored = roll_back(&mut config, good)?;
    println!("revision {good}: {}", show(&config, good)?);
    println!("revision {bad}: {}", show(&config, bad)?);
    println!("revision {restored}: {}", show(&config, restored)?);
    assert_eq!(show(&config, restored)?, show(&config, good)?);
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_example_runs() {
        super::main().unwrap();
    }
}
