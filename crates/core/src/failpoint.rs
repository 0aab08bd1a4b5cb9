//! Places where a test can kill the process, to prove that the next run ends right.
//! Not here: the tests, which set `TAPLINE_FAILPOINT` for the real binary.
//! Called by the walk of a run and by the publications of destinations.

/// The places that a destination passes, in their order, from the staging of rows to the end of
/// [`Writer::publish`](crate::Writer::publish). A publication that has nothing to delete, for example, does not pass
/// the deletes; `publish-rejected` is passed wherever a row is refused, once per row.
pub const DESTINATION: &[&str] = &[
    // After a batch was staged.
    "staging",
    // After the marker was locked and found to be this run's.
    "publish-locked",
    // After the table was made or widened, where that was due.
    "publish-prepared",
    // After rows were deleted.
    "publish-deleted",
    // After rows were changed.
    "publish-updated",
    // After rows were added.
    "publish-inserted",
    // After a row was rejected.
    "publish-rejected",
    // After outcomes and marker were written, before the commit.
    "publish-recorded",
    // After the commit, before anything else.
    "publish-committed",
];

/// Ends the process at once where `TAPLINE_FAILPOINT` holds this name, as a power cut would. `name:3` means the third
/// time that the place is passed; `name=stop` freezes the process instead, until somebody wakes it with SIGCONT, and
/// `name=panic` panics. Does nothing in a release build.
pub fn failpoint(name: &str) {
    if !cfg!(debug_assertions) {
        return;
    }
    let Ok(wanted) = std::env::var("TAPLINE_FAILPOINT") else { return };
    let (wanted, way) = wanted.split_once('=').unwrap_or((&wanted, ""));
    if !is_hit(name, wanted) {
        return;
    }
    match way {
        "stop" => freeze(),
        "panic" => panic!("the failpoint {name} was asked to panic"),
        _ => std::process::abort(),
    }
}

fn freeze() {
    let process = std::process::id().to_string();
    let frozen = std::process::Command::new("kill").args(["-STOP", &process]).status();
    assert!(frozen.is_ok_and(|status| status.success()), "a failpoint could not freeze the process");
}

fn is_hit(name: &str, wanted: &str) -> bool {
    use std::sync::atomic::{AtomicU64, Ordering};
    static PASSED: AtomicU64 = AtomicU64::new(0);
    let (wanted, times) = match wanted.split_once(':') {
        Some((wanted, times)) => (wanted, times.parse().unwrap_or(1)),
        None => (wanted, 1),
    };
    wanted == name && PASSED.fetch_add(1, Ordering::Relaxed) + 1 == times
}
