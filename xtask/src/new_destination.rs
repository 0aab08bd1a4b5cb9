//! `cargo xtask new-destination NAME`: the folder of a new kind of destination, its line in the list, and its tests.
//! Not here: the template, which is compiled with the tests of the crate `tapline-destinations`.
//! Called by `main`.

use std::fs;
use std::path::Path;

use crate::Outcome;
use crate::command::{cargo, root, run as run_command};

/// The files of the template, by their paths in the crate `tapline-destinations`.
const TEMPLATE: [(&str, &str); 5] = [
    ("src/example/mod.rs", include_str!("../templates/destination/mod.rs")),
    ("src/example/config.rs", include_str!("../templates/destination/config.rs")),
    ("src/example/check.rs", include_str!("../templates/destination/check.rs")),
    ("src/example/writer.rs", include_str!("../templates/destination/writer.rs")),
    ("tests/example/mod.rs", include_str!("../templates/destination_tests/mod.rs")),
];

/// Writes the files of the destination `name`, and names it where all are listed.
pub fn run(name: &str) -> Outcome {
    let home = root().join("crates/destinations");
    check_name(name)?;
    if home.join("src").join(name).exists() {
        return Err(format!("there is a destination {name} already"));
    }
    // Read before anything is written, so that a list that is not as expected leaves nothing half-made.
    let list = listed(&read(&home.join("src/lib.rs"))?, name)?;
    let tests = with_module(&read(&home.join("tests/main.rs"))?, &format!("mod {name};"))?;
    for (path, text) in TEMPLATE {
        let path = home.join(renamed(path, name));
        fs::create_dir_all(path.parent().unwrap_or(&home))
            .map_err(|error| format!("cannot make the folder of {}: {error}", path.display()))?;
        write(&path, &renamed(text, name))?;
    }
    write(&home.join("src/lib.rs"), &list)?;
    write(&home.join("tests/main.rs"), &tests)?;
    run_command(&mut cargo(&["fmt", "--package", "tapline-destinations"]))?;
    println!("wrote crates/destinations/src/{name} and crates/destinations/tests/{name}");
    println!("next: docs/write-a-destination.md");
    Ok(())
}

fn check_name(name: &str) -> Outcome {
    let first = name.starts_with(|first: char| first.is_ascii_lowercase());
    let rest =
        name.chars().all(|character| character.is_ascii_lowercase() || character.is_ascii_digit() || character == '_');
    if first && rest { Ok(()) } else { Err(format!("{name:?} is no name of a module: write it like my_service")) }
}

/// The template's text for another name.
fn renamed(text: &str, name: &str) -> String {
    text.replace("example", name).replace("Example", &type_name(name)).replace("EXAMPLE", &name.to_uppercase())
}

/// `my_service` as `MyService`.
fn type_name(name: &str) -> String {
    name.split('_')
        .map(|word| {
            let mut letters = word.chars();
            letters.next().map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + letters.as_str())
        })
        .collect()
}

/// `lib.rs` with the new kind: its module, and its connector in the list.
fn listed(text: &str, name: &str) -> Outcome<String> {
    let text = with_module(text, &format!("pub mod {name};"))?;
    let list = text.find("vec![").ok_or("crates/destinations/src/lib.rs lists no connectors")?;
    let end = text[list..].find(']').ok_or("the list of connectors does not end")? + list;
    let before = text[..end].trim_end().trim_end_matches(',');
    Ok(format!("{before}, Box::new({name}::{}){}", type_name(name), &text[end..]))
}

/// A file with one more module beside those of the same kind, in the order of the alphabet.
fn with_module(text: &str, line: &str) -> Outcome<String> {
    let kind = line.split("mod ").next().unwrap_or_default();
    let is_module = |other: &&str| other.starts_with(&format!("{kind}mod ")) && other.ends_with(';');
    let after = text.lines().rfind(|other| is_module(other) && **other < *line);
    match after {
        Some(after) => Ok(text.replacen(&format!("{after}\n"), &format!("{after}\n{line}\n"), 1)),
        None => {
            let first = text.lines().find(is_module).ok_or_else(|| format!("no module stands beside {line}"))?;
            Ok(text.replacen(first, &format!("{line}\n{first}"), 1))
        }
    }
}

fn read(path: &Path) -> Outcome<String> {
    fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

fn write(path: &Path, text: &str) -> Outcome {
    fs::write(path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_listed_where_the_others_are() {
        let lib = "pub mod mysql;\npub mod sqlite;\n\nmod exactly;\n\nvec![\n    Box::new(mysql::Mysql),\n    Box::new(sqlite::Sqlite),\n]\n";
        let with = listed(lib, "my_service").unwrap();
        assert!(with.contains("pub mod my_service;\npub mod mysql;\n"), "{with}");
        assert!(with.contains("Box::new(sqlite::Sqlite), Box::new(my_service::MyService)]"), "{with}");
        assert_eq!(with_module("mod a;\nmod z;\n", "mod m;").unwrap(), "mod a;\nmod m;\nmod z;\n");
        // The real list is one that can be added to.
        let real = read(&root().join("crates/destinations/src/lib.rs")).unwrap();
        assert!(listed(&real, "zebra").unwrap().contains("Box::new(zebra::Zebra)"));
        let tests = read(&root().join("crates/destinations/tests/main.rs")).unwrap();
        assert!(with_module(&tests, "mod zebra;").unwrap().contains("mod zebra;\n"));
    }

    #[test]
    fn nothing_of_the_template_keeps_its_name() {
        for (path, text) in TEMPLATE {
            let text = renamed(text, "zebra_two") + &renamed(path, "zebra_two");
            assert!(!text.to_lowercase().contains("example"), "{path}");
        }
        assert_eq!(type_name("my_service"), "MyService");
        assert!(check_name("MyService").is_err() && check_name("2x").is_err() && check_name("").is_err());
    }
}
