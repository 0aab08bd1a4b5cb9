//! Secrets stay where they are: in no output, no log, no state.
//! Not here: the encryption of secrets that a server keeps.

use std::fs;
use std::path::Path;

use tapline_endpoint::User;

use crate::harness::{Delivery, Outcome, Target, World, on_both};

on_both!(secrets_are_in_no_output_and_no_file);

const ACCESS_KEY: &str = "AKIASECRETIVE0000000";
const SECRET_KEY: &str = "wJalr+XUtnFEMI/K7MDENG/bPxRfiCYz-e2e-key";
const PASSWORD: &str = "p@ss/w:rd #1%25?&e2e";

/// Every way in which a secret could be written.
fn spellings() -> Vec<String> {
    let encode = |text: &str| {
        text.bytes().fold(String::new(), |encoded, byte| match byte {
            b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'-' | b'_' | b'.' | b'~' => {
                encoded + &char::from(byte).to_string()
            }
            _ => format!("{encoded}%{byte:02X}"),
        })
    };
    [SECRET_KEY, PASSWORD].into_iter().flat_map(|secret| [secret.to_owned(), encode(secret)]).collect()
}

#[track_caller]
fn is_free_of_secrets(what: &str, bytes: &[u8]) {
    for secret in spellings() {
        let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!found, "{what} holds {secret}");
    }
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn secrets_are_in_no_output_and_no_file(target: &Target) {
    let world = World::with(|endpoint| endpoint.user(User::new(ACCESS_KEY, SECRET_KEY)));
    world.put("customers.csv", "id,name\n1,one\n2,two\n2,zwei\n");
    let source = world.source().replace(SECRET_KEY, "${LAKE_SECRET}");
    let mut variables = vec![("LAKE_SECRET", SECRET_KEY), ("CRM_PASSWORD", PASSWORD)];
    world.deliver_from(&source, target, Delivery { options: "on_bad_key: reject", ..Delivery::default() });
    let role = format!("e2e_secrets_{}", std::process::id());
    if let Target::Postgres(database) = target {
        // A password full of characters that mean something in a URL.
        let quoted = PASSWORD.replace('\'', "''");
        database.execute(&format!("CREATE ROLE {role} LOGIN SUPERUSER PASSWORD '{quoted}'"));
        let file = world.folder().join("tapline.yaml");
        let text = fs::read_to_string(&file).unwrap();
        let url = database.url_as(&role, "CRM").replace(":CRM@", ":${CRM_PASSWORD}@");
        fs::write(file, text.replace(&database.url(), &url)).unwrap();
    }

    let mut commands: Vec<Vec<&str>> = vec![
        vec!["validate"],
        vec!["validate", "--format", "json"],
        vec!["check"],
        vec!["check", "--format", "json"],
        vec!["policy", "lake"],
        vec!["discover", "lake"],
        vec!["query", "lake", "SELECT * FROM 's3://lake/customers.csv'"],
        vec!["query", "lake", "SELECT * FROM 's3://lake/absent.csv'"],
        vec!["query", "lake", "SELEC"],
        vec!["preview", "rows"],
        vec!["plan", "rows", "--format", "json"],
        vec!["sync", "rows"],
        vec!["sync", "rows", "--format", "json"],
        vec!["rejects", "rows", "--format", "json"],
        vec!["runs"],
        vec!["runs", "--format", "json"],
    ];
    let run = |arguments: &[&str], variables: &[(&str, &str)]| -> Outcome {
        let outcome = world.tapline_with(arguments, variables);
        is_free_of_secrets("stdout", outcome.stdout.as_bytes());
        is_free_of_secrets("stderr", outcome.stderr.as_bytes());
        outcome
    };
    for more in [[].as_slice(), &["-v"], &["-v", "--log-format", "json"]] {
        for arguments in &commands {
            run(&[arguments.as_slice(), more].concat(), &variables);
        }
    }
    run(&["sync", "rows"], &variables).exits(3);
    assert_eq!(target.value("SELECT count(*) FROM customers"), "1");
    // The most that a log can tell.
    variables.push(("RUST_LOG", "trace"));
    for arguments in [["check"].as_slice(), &["sync", "rows", "--full-refresh"], &["discover", "lake"]] {
        run(arguments, &variables);
    }
    variables.pop();
    // Refused for what the secrets are.
    commands.retain(|arguments| ["check", "discover", "sync", "plan"].contains(&arguments[0]));
    for wrong in ["LAKE_SECRET", "CRM_PASSWORD"] {
        let changed =
            |(name, value): (&'static str, &'static str)| (name, if name == wrong { &value[1..] } else { value });
        let variables: Vec<_> = variables.iter().copied().map(changed).collect();
        for arguments in &commands {
            let outcome = run(arguments, &variables);
            for text in [&outcome.stdout, &outcome.stderr] {
                assert!(!text.contains(&SECRET_KEY[1..]) && !text.contains(&PASSWORD[1..]), "{outcome}");
            }
        }
    }
    // Mistakes in the project are told without the values of variables.
    let file = world.folder().join("tapline.yaml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("region: us-east-1", "region: us-east-1, path_style: \"${CRM_PASSWORD}\"")).unwrap();
    run(&["validate"], &variables).exits(2);

    let left = files(world.folder());
    assert!(left.iter().any(|path| path.ends_with(".tapline/state.db")), "{left:?}");
    for path in left {
        is_free_of_secrets(&path.display().to_string(), &fs::read(&path).unwrap());
    }
    if let Target::Postgres(database) = target {
        database.execute(&format!("REASSIGN OWNED BY {role} TO CURRENT_USER; DROP ROLE {role}"));
    }
}
