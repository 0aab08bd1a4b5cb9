//! The destinations against real servers and files. One binary for all of them.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
#![allow(clippy::print_stdout, reason = "what is skipped is said on stdout")]

mod crashes;
mod files;
mod fileset;
mod halving;
mod http;
mod mysql;
mod postgres;
mod sftp;
mod sqlite;

/// The template of `cargo xtask new-destination`, compiled so that it stays right.
#[path = "../../../xtask/templates/destination/mod.rs"]
mod example;

/// What the template says of itself before it is filled.
#[tokio::test]
async fn the_template_says_what_is_missing() {
    use tapline_core::{ConnectContext, Connector};
    let context = ConnectContext::new("test", "/");
    let settings = example::Config { host: "db.internal".to_owned() };
    assert_eq!(example::Example.lint(&settings), Vec::<String>::new());
    let destination = Connector::connect(&example::Example, settings, &context).unwrap();
    let steps = destination.check().await;
    assert!(!steps[0].ok && steps[0].message.as_ref().unwrap().contains("no `check` yet"), "{steps:?}");
}
