//! Example, at the server that `TAPLINE_TEST_EXAMPLE` names; without it these tests say that they are skipped.

use tapline_core::testing::bench::Bench;
use tapline_core::{ConnectContext, Connector};
use tapline_destinations::example::{Config, Example};

tapline_core::destination_conformance!(bench);

/// A stream of its own for each demand, and a way to look at it from outside. See the benches of the other destinations.
async fn bench(demand: &str) -> Option<Bench> {
    let Ok(host) = std::env::var("TAPLINE_TEST_EXAMPLE") else {
        println!("skipped: 1 ({demand}; TAPLINE_TEST_EXAMPLE names no server)");
        return None;
    };
    let context = ConnectContext::new("test", "/");
    let destination = Connector::connect(&Example, Config { host }, &context).expect("the settings are right");
    let steps = destination.check().await;
    panic!("make a bench of this destination, which says: {steps:?}");
}
