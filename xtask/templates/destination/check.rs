//! `tapline check` for Example: one step after the other, each with what it found.
//! Not here: the checks of one stream, which `open` makes.
//! Called through `Destination::check`.

use tapline_core::{CheckStep, CheckSteps};

use super::config::Config;
use super::not_written;

/// Takes the steps, up to the first that fails.
pub(super) async fn check(config: &Config) -> Vec<CheckStep> {
    let mut steps = CheckSteps::default();
    let connect =
        async { Err::<((), String), _>(not_written("check").context(format!("connecting to {}", config.host))) };
    steps.take("connect", connect).await;
    steps.finish()
}
