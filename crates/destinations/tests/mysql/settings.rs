//! What a server's own settings make of a run, and a server that crashes.

use std::sync::Arc;

use arrow::array::*;
use tapline_core::testing::bench::{batch, owner};
use tapline_core::{ChangeBatch, Destination, Error, Op, Receipt, Refresh, Retry, StreamName, Target, Writer};
use tapline_destinations::mysql::TlsMode;

use super::own_server::{OwnServer, certificate};
use super::{config, connect};

fn rows() -> RecordBatch {
    batch(vec![
        ("id", Arc::new(Int64Array::from(vec![1, 2])) as ArrayRef),
        ("v", Arc::new(StringArray::from(vec!["a", "b"]))),
    ])
}

/// A run as far as its staging.
async fn staged(destination: &dyn Destination, generation: u64) -> Result<Box<dyn Writer>, Error> {
    let stream = StreamName::parse("customers").unwrap();
    destination.stamp(&stream, &owner(), generation).await?;
    let target = Target {
        stream,
        owner: owner(),
        generation,
        schema: rows().schema(),
        key: vec!["id".to_owned()],
        refresh: Refresh::Incremental,
        retractable: false,
        widen: false,
        max_reject_ratio: None,
    };
    let mut writer = destination.open(target).await?;
    writer.write(ChangeBatch { seq: 0, op: Op::Upsert, rows: rows() }).await?;
    Ok(writer)
}

async fn delivered(destination: &dyn Destination, generation: u64) -> Result<Receipt, Error> {
    staged(destination, generation).await?.publish(&[2]).await
}

#[tokio::test]
async fn tls_by_the_meanings_of_the_clients() {
    let Some(server) = OwnServer::start("my_tls_modes", certificate) else { return };
    let ca = server.file("ca.pem");
    for (mode, ca, host, good) in [
        (TlsMode::Preferred, None, "127.0.0.1", true),
        (TlsMode::Required, None, "127.0.0.1", true),
        // Nobody that the system trusts has signed the certificate.
        (TlsMode::VerifyCa, None, "localhost", false),
        (TlsMode::VerifyIdentity, None, "localhost", false),
        // It is made out to localhost.
        (TlsMode::VerifyCa, Some(&ca), "127.0.0.1", true),
        (TlsMode::VerifyCa, Some(&ca), "localhost", true),
        (TlsMode::VerifyIdentity, Some(&ca), "127.0.0.1", false),
        (TlsMode::VerifyIdentity, Some(&ca), "localhost", true),
    ] {
        let mut config = config(&server.url(host));
        config.tls = Some(mode);
        config.ca = ca.map(Into::into);
        let steps = connect(config).check().await;
        assert_eq!(steps[1].ok, good, "{mode:?} {host}: {steps:?}");
        if good {
            assert!(steps.iter().all(|step| step.ok), "{mode:?} {host}: {steps:?}");
            assert!(steps[1].message.as_ref().unwrap().starts_with("encrypted"), "{mode:?} {host}: {steps:?}");
        } else {
            assert_eq!(steps[1].code.as_deref(), Some("DEST-001"), "{steps:?}");
        }
    }
    let mut config = config(&server.url("127.0.0.1"));
    config.tls = Some(TlsMode::Disabled);
    let steps = connect(config).check().await;
    assert!(steps[1].message.as_ref().unwrap().starts_with("not encrypted"), "{steps:?}");
}

#[tokio::test]
async fn a_server_that_takes_no_files_says_so() {
    let settings = |_: &std::path::Path| Some(vec!["--local-infile=0".to_owned()]);
    let Some(server) = OwnServer::start("my_no_files", settings) else { return };
    let destination = connect(config(&server.url("127.0.0.1")));
    let steps = destination.check().await;
    let last = steps.last().unwrap();
    assert_eq!((last.name.as_str(), last.code.as_deref()), ("rights", Some("DEST-003")), "{steps:?}");
    assert!(last.hint.as_ref().unwrap().contains("local_infile = 1"), "{last:?}");
    let error = delivered(&*destination, 1).await.unwrap_err();
    assert_eq!(error.code().id, "DEST-003", "{error:?}");
}

#[tokio::test]
async fn a_crash_of_the_server_after_staging_costs_one_attempt() {
    let Some(mut server) = OwnServer::start("my_crash", |_| Some(vec!["--local-infile=1".to_owned()])) else { return };
    let destination = connect(config(&server.url("127.0.0.1")));
    delivered(&*destination, 1).await.unwrap();
    let mut lost = staged(&*destination, 2).await.unwrap();
    server.crash();
    let error = lost.publish(&[2]).await.unwrap_err();
    assert_ne!(error.retry(), Retry::Never, "{error:?}");
    let error = delivered(&*destination, 2).await.unwrap_err();
    assert_eq!(error.code().id, "DEST-001", "the server is down: {error:?}");
    assert_ne!(error.retry(), Retry::Never, "{error:?}");
    drop(lost);
    server.run(false);
    delivered(&*destination, 2).await.unwrap();
    let marker = destination.marker(&StreamName::parse("customers").unwrap()).await.unwrap().unwrap();
    assert_eq!(marker.published.unwrap().generation, 2);
}
