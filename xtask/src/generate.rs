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
    (DESTINATIONS, &["destinations", "--format", "markdown"]),
    ("docs/reference/functions.md", &["functions", "--format", "markdown"]),
];

/// The page that links to a page for each kind of destination, in the folder of its name.
const DESTINATIONS: &str = "docs/reference/destinations.md";
const DESTINATION_PAGES: &str = "docs/reference/destinations";

/// Writes the generated files, or compares them with what is there.
pub fn run(check: bool) -> Outcome {
    let mut stale = Vec::new();
    let mut kinds = Vec::new();
    for (path, arguments) in GENERATED {
        let fresh = printed(arguments)?;
        if path == DESTINATIONS {
            kinds = linked(&fresh);
        }
        settle(path, &fresh, check, &mut stale)?;
    }
    for kind in &kinds {
        let fresh = printed(&["destinations", kind, "--format", "markdown"])?;
        settle(&format!("{DESTINATION_PAGES}/{kind}.md"), &fresh, check, &mut stale)?;
    }
    for gone in pages()?.into_iter().filter(|page| !kinds.contains(page)) {
        let path = format!("{DESTINATION_PAGES}/{gone}.md");
        if check {
            stale.push(path);
        } else {
            fs::remove_file(root().join(&path)).map_err(|error| format!("cannot remove {path}: {error}"))?;
            println!("removed {path}");
        }
    }
    if stale.is_empty() {
        return Ok(());
    }
    Err(format!("out of date: {}; run `cargo xtask generate` and commit the result", stale.join(", ")))
}

/// What `tapline` prints.
fn printed(arguments: &[&str]) -> Outcome<String> {
    output(cargo(&["run", "--quiet", "--package", "tapline", "--"]).args(arguments))
}

/// Writes a file, or notes that it is out of date.
fn settle(path: &str, fresh: &str, check: bool, stale: &mut Vec<String>) -> Outcome {
    let file = root().join(path);
    if fs::read_to_string(&file).is_ok_and(|present| present == fresh) {
        return Ok(());
    }
    if check {
        stale.push(path.to_owned());
        return Ok(());
    }
    let folder = file.parent().unwrap_or(root());
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(&file, fresh))
        .map_err(|error| format!("cannot write {path}: {error}"))?;
    println!("wrote {path}");
    Ok(())
}

/// The kinds that a page links to: `[postgres](destinations/postgres.md)`.
fn linked(page: &str) -> Vec<String> {
    let links = page.split("](destinations/").skip(1);
    links.filter_map(|rest| rest.split_once(".md)").map(|(kind, _)| kind.to_owned())).collect()
}

/// The kinds that have a page.
fn pages() -> Outcome<Vec<String>> {
    let Ok(entries) = fs::read_dir(root().join(DESTINATION_PAGES)) else { return Ok(Vec::new()) };
    let mut kinds = Vec::new();
    for entry in entries {
        let name = entry.map_err(|error| format!("cannot read {DESTINATION_PAGES}: {error}"))?.file_name();
        kinds.extend(name.to_str().and_then(|name| name.strip_suffix(".md")).map(str::to_owned));
    }
    kinds.sort();
    Ok(kinds)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_kinds_are_those_that_are_linked() {
        let page = "| [a](destinations/a.md) | x |\n| [b_c](destinations/b_c.md) | y |\n[spec](../destination-spec.md)";
        assert_eq!(super::linked(page), ["a", "b_c"]);
    }
}
