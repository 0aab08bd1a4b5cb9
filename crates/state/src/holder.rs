//! Who holds a lease, told to those who wait for it.
//! Not here: taking and keeping leases (each store's own).
//! Called by every store of this crate.

use chrono::{SecondsFormat, Utc};
use tapline_core::{Error, Holder, codes};

/// This process, from now on.
pub(crate) fn this_process() -> Holder {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map(|name| name.trim().to_owned())
        .or_else(|_| std::env::var("HOSTNAME"))
        .unwrap_or_else(|_| "this machine".to_owned());
    Holder { host, process: std::process::id(), since: Utc::now() }
}

/// A holder in words.
pub(crate) fn describe(holder: &Holder) -> String {
    let Holder { host, process, since } = holder;
    format!("process {process} on {host} since {}", since.to_rfc3339_opts(SecondsFormat::Secs, true))
}

/// What somebody is told who has waited long enough for `holder`.
pub(crate) fn already_running(sync: &str, holder: &str) -> Error {
    Error::new(codes::SYNC_003, format!("sync {sync} is already running: it is held by {holder}"))
        .hint("wait for it to end, or wait longer with --lock-timeout 10m")
}
