//! `cargo xtask bench`: side-by-side benchmarks of the release binary.
//! Not here: the benchmarks, which are executable scripts in `bench/`.
//! Called by `main`.

use std::path::Path;
use std::process::Command;

use crate::Outcome;
use crate::command::{self, cargo, root, target};

/// The script `bench/NAME.py` or `bench/NAME.sh` finds the binary by `TAPLINE_BIN`; further arguments go to it.
pub fn run(arguments: &[&str]) -> Outcome {
    let names = names(&root().join("bench"))?;
    let [name, rest @ ..] = arguments else {
        names.iter().for_each(|name| println!("{name}"));
        return Ok(());
    };
    let script = ["py", "sh"].map(|ending| root().join("bench").join(format!("{name}.{ending}")));
    let Some(script) = script.iter().find(|path| path.is_file()) else {
        return Err(format!("there is no benchmark named {name}; there are: {}", names.join(", ")));
    };
    command::run(&mut cargo(&["build", "--release", "--package", "tapline"]))?;
    let binary = target().join("release").join(format!("tapline{}", std::env::consts::EXE_SUFFIX));
    command::run(Command::new(script).args(rest).current_dir(root()).env("TAPLINE_BIN", binary))
}

fn names(folder: &Path) -> Outcome<Vec<String>> {
    let failed = |error| format!("cannot read {}: {error}", folder.display());
    let mut names = Vec::new();
    for entry in folder.read_dir().map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if let (Some(name), Some("py" | "sh")) = (path.file_stem(), path.extension().and_then(|ending| ending.to_str()))
        {
            names.push(name.to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}
