//! Who is let in, and whom we talk to.

use std::path::Path;

use tapline_core::CheckStep;
use tapline_destinations::sftp::Sftp;

use super::Server;
use crate::fileset;

async fn checked(settings: &str) -> CheckStep {
    let destination = fileset::connect(&Sftp, settings, Path::new("/nowhere"));
    destination.check().await.pop().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_host_key_is_refused_and_shown() {
    let Some(server) = Server::find("another_host_key_is_refused_and_shown") else { return };
    let right = server.settings(&server.place(), "");
    let wrong = right.replace(&server.host_key(), &format!("SHA256:{}", "A".repeat(43)));
    let step = checked(&wrong).await;
    assert_eq!((step.ok, step.code.as_deref()), (false, Some("DEST-002")), "{step:?}");
    // What the refusal shows is what lets the server in.
    let message = step.message.unwrap();
    let shown = message.split_whitespace().find(|word| word.starts_with("SHA256:")).expect("the fingerprint is shown");
    let step = checked(&right.replace(&server.host_key(), shown)).await;
    assert!(step.ok, "{step:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_who_is_not_let_in_is_told_so() {
    let Some(server) = Server::find("a_user_who_is_not_let_in_is_told_so") else { return };
    let settings = server.settings(&server.place(), "");
    let (before, _) = settings.split_once("private_key").unwrap();
    let step = checked(&format!("{before}password: wrong horse")).await;
    assert_eq!((step.ok, step.code.as_deref()), (false, Some("DEST-002")), "{step:?}");
    let told = format!("{:?}", step);
    assert!(!told.contains("wrong horse"), "{told}");
    let unknown = settings.replace(&format!("user: {}", server.url.username()), "user: nobody-at-all");
    assert_eq!(checked(&unknown).await.code.as_deref(), Some("DEST-002"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_right_is_named() {
    let Some(server) = Server::find("a_missing_right_is_named") else { return };
    let step = checked(&server.settings(Path::new("/proc/tapline"), "")).await;
    assert!(!step.ok && ["DEST-003", "DEST-006"].contains(&step.code.as_deref().unwrap()), "{step:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_away_is_told() {
    let settings =
        format!("host: 127.0.0.1\nport: 1\nuser: me\npassword: secret\nhost_key: \"SHA256:{}\"", "A".repeat(43));
    let step = checked(&settings).await;
    assert_eq!((step.name.as_str(), step.code.as_deref()), ("reach", Some("DEST-001")));
}
