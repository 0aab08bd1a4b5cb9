//! The walls between crates: which of them may depend on which, and on which heavy crates.
//! Not here: licences and advisories, which `cargo deny` checks by `deny.toml` (the walls are in there too).
//! Called by `test`.

use crate::Outcome;
use crate::command::{cargo, output};

/// Who of us may use whom of us, outside of tests. The binary, where all meet, is not listed; neither are tests.
const OWN: [(&str, &[&str]); 9] = [
    ("tapline-core", &[]),
    ("tapline-csv", &["tapline-core"]),
    ("tapline-destinations", &["tapline-core", "tapline-storage"]),
    ("tapline-e2e", &[]),
    ("tapline-endpoint", &[]),
    ("tapline-engine", &["tapline-core", "tapline-csv", "tapline-storage"]),
    ("tapline-server", &["tapline-core", "tapline-engine", "tapline-storage"]),
    ("tapline-state", &["tapline-core"]),
    ("tapline-storage", &["tapline-core", "tapline-csv"]),
];

/// Where all crates meet.
const BINARY: &str = "tapline";

/// Which crates of others only some of us may use, outside of tests. A final `*` stands for any ending.
const OTHERS: [(&str, &[&str]); 7] = [
    ("datafusion*", &["tapline-engine", BINARY]),
    ("sqlx", &["tapline-state", "tapline-destinations"]),
    ("tokio-postgres", &["tapline-destinations"]),
    ("mysql_async", &["tapline-destinations"]),
    ("s3s", &["tapline-endpoint"]),
    ("aws-*", &["tapline-storage"]),
    ("object_store", &["tapline-storage", "tapline-engine", "tapline-destinations"]),
];

/// Looks for dependencies across the walls.
pub fn check() -> Outcome {
    let tree = output(&mut cargo(&[
        "tree",
        "--workspace",
        "--edges",
        "normal,build",
        "--depth",
        "1",
        "--prefix",
        "depth",
        "--no-dedupe",
        "--target",
        "all",
        "--format",
        "{p}",
    ]))?;
    let breaches: Vec<String> = edges(&tree).filter_map(|(from, to)| breach(from, to)).collect();
    if breaches.is_empty() { Ok(()) } else { Err(format!("walls are broken:\n  {}", breaches.join("\n  "))) }
}

/// The edges of `cargo tree --prefix depth --depth 1`: lines `0package v1 (path)`, each followed by `1dependency v1`.
fn edges(tree: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut from = "";
    tree.lines().filter_map(move |line| {
        let name = line.split_whitespace().next()?;
        match name.strip_prefix('0') {
            Some(package) => {
                from = package;
                None
            }
            None => Some((from, name.strip_prefix('1')?)),
        }
    })
}

fn breach(from: &str, to: &str) -> Option<String> {
    if !from.starts_with("tapline") {
        return None;
    }
    if to.starts_with("tapline") {
        if from == BINARY {
            return None;
        }
        return match OWN.iter().find(|(name, _)| *name == from) {
            None => Some(format!("{from} is not listed in xtask/src/walls.rs")),
            Some((_, allowed)) if !allowed.contains(&to) => Some(format!("{from} must not depend on {to}")),
            Some(_) => None,
        };
    }
    let (_, allowed) = OTHERS.iter().find(|(name, _)| match name.strip_suffix('*') {
        Some(beginning) => to.starts_with(beginning),
        None => to == *name,
    })?;
    let refused = || format!("{from} must not depend on {to}: only {} may", allowed.join(" and "));
    (!allowed.contains(&from)).then(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_of_a_tree() {
        let tree = "0tapline-core v0.1.0 (/x/core)\n1serde v1.0.0\n\n0tapline v0.1.0 (/x/tapline)\n1tapline-core v0.1.0 (/x)\n";
        let expected = [("tapline-core", "serde"), ("tapline", "tapline-core")];
        assert_eq!(edges(tree).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn breaches_are_found_and_the_rest_is_not() {
        for (from, to) in [
            ("tapline-core", "tapline-csv"),
            ("tapline-engine", "tapline-destinations"),
            ("tapline-state", "tapline-endpoint"),
            ("tapline-destinations", "datafusion"),
            ("tapline", "sqlx"),
            ("tapline-engine", "aws-config"),
            ("tapline-nobody", "tapline-core"),
        ] {
            assert!(breach(from, to).is_some(), "{from} -> {to}");
        }
        for (from, to) in [
            ("tapline", "tapline-endpoint"),
            ("tapline", "datafusion"),
            ("tapline-engine", "datafusion-common"),
            ("tapline-storage", "aws-sdk-sts"),
            ("tapline-core", "serde"),
            ("xtask", "serde"),
        ] {
            assert_eq!(breach(from, to), None);
        }
    }
}
