//! Writes the golden files that are missing; those that are there stay as they are. See `tests/golden/README.md`.
//!
//! ```text
//! cargo run -p palimpsest-kv-tests --example make_golden
//! ```

use std::path::Path;

use palimpsest_kv_tests::golden::GOLDEN;

fn main() -> std::io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden");
    for golden in GOLDEN {
        let path = folder.join(golden.name).with_extension("plm");
        if !path.exists() {
            std::fs::write(&path, golden.make())?;
            eprintln!("{} is new", path.display());
        }
    }
    Ok(())
}
