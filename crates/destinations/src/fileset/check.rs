//! The steps of `tapline check`: reach the place, and do with a file of a moment all that a run does with its own.
//! Not here: what a particular stream needs, which shows when a run opens it.
//! Called by the destination.

use bytes::Bytes;
use tapline_core::{CheckStep, CheckSteps, Error, Result, codes};

use super::layout::OWN;
use super::place::{Place, Version};

/// Leaves nothing behind.
pub(super) async fn check(place: &dyn Place) -> Vec<CheckStep> {
    let mut steps = CheckSteps::default();
    let probe = format!("{OWN}/check-{}", uuid::Uuid::new_v4().simple());
    let moved = format!("{probe}-moved");
    let reached = steps.take("reach", async { Ok(((), place.reach().await?)) }).await;
    if reached.is_none() || steps.take("write", write(place, &probe)).await.is_none() {
        return steps.finish();
    }
    let mut left = probe.as_str();
    let mut whole = steps.take("move", rename(place, &probe, &moved)).await.is_some();
    if whole {
        left = &moved;
        whole = steps.take("replace", replace(place, &moved)).await.is_some();
    }
    if whole {
        steps.take("delete", delete(place, left)).await;
    } else if let Err(error) = place.remove(left).await {
        tracing::debug!(error = %error.full_message(), "cannot remove the file of a check");
    }
    steps.finish()
}

async fn write(place: &dyn Place, probe: &str) -> Result<((), String)> {
    place.save(probe, Bytes::from_static(b"1")).await?;
    Ok(((), "a file can be written".to_owned()))
}

/// A place that replaces a file whatever it holds cannot keep two runs apart.
async fn replace(place: &dyn Place, probe: &str) -> Result<((), String)> {
    let unfenced = || {
        Error::new(codes::DEST_003, format!("{} replaces files whatever they hold", place.shown("")))
            .hint("Tapline needs conditional writes (If-Match and If-None-Match) to keep two runs apart")
    };
    let read = place.load(probe).await?;
    let (_, version) = read.ok_or_else(|| {
        Error::new(codes::DEST_006, format!("{} is gone right after it was written", place.shown(probe)))
    })?;
    let other = Version("\"00000000000000000000000000000000\"".to_owned());
    for wrong in [None, Some(&other)] {
        if place.swap(probe, Bytes::from_static(b"2"), wrong).await? {
            return Err(unfenced());
        }
    }
    if !place.swap(probe, Bytes::from_static(b"3"), Some(&version)).await? {
        return Err(Error::new(codes::DEST_006, format!("{} cannot be replaced", place.shown(probe))));
    }
    Ok(((), "a file can be read, and replaced only as it was read".to_owned()))
}

async fn rename(place: &dyn Place, probe: &str, moved: &str) -> Result<((), String)> {
    place.rename(probe, moved).await?;
    Ok(((), "a file can get another name".to_owned()))
}

async fn delete(place: &dyn Place, path: &str) -> Result<((), String)> {
    place.remove(path).await?;
    Ok(((), "a file can be removed".to_owned()))
}
