//! `cargo xtask generate`: files that come from the code and are committed beside it.
//! Not here: what they say, which the binary prints.
//! Called by `main`.

use std::fs;

use crate::Outcome;
use crate::command::{cargo, output, root};

/// Each generated file, and the arguments of `tapline` that print it.
const GENERATED: [(&str, &[&str]); 4] = [
    ("schema/tapline.schema.json", &["schema"]),
    ("schema/openapi.json", &["schema", "--openapi"]),
    ("docs/reference/destinations.md", &["destinations", "--format", "markdown"]),
    ("docs/reference/functions.md", &["functions", "--format", "markdown"]),
];

/// Writes the generated files, or compares them with what is there.
pub fn run(check: bool) -> Outcome {
    let mut stale = Vec::new();
    for (path, arguments) in GENERATED {
        let mut command = cargo(&["run", "--quiet", "--package", "tapline", "--"]);
        let fresh = output(command.args(arguments))?;
        let file = root().join(path);
        if fs::read_to_string(&file).is_ok_and(|present| present == fresh) {
            continue;
        }
        if check {
            stale.push(path);
            continue;
        }
        let folder = file.parent().unwrap_or(root());
        fs::create_dir_all(folder)
            .and_then(|()| fs::write(&file, fresh))
            .map_err(|error| format!("cannot write {path}: {error}"))?;
        println!("wrote {path}");
    }
    if stale.is_empty() {
        return Ok(());
    }
    Err(format!("out of date: {}; run `cargo xtask generate` and commit the result", stale.join(", ")))
}
