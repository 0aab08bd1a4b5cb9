//! What changed since the last delivery: keys and hashes of rows, kept in immutable snapshot files.
//! Not here: reading rows (`sql`), delivering them (`run`).
//! Called by runs and plans.

pub(crate) mod aside;
pub(crate) mod compare;
pub(crate) mod files;
pub(crate) mod fingerprints;
pub(crate) mod known;
pub(crate) mod log;
pub(crate) mod rows;
pub(crate) mod shared;
pub(crate) mod snapshot;

/// Keys are dealt to so many partitions by their hash, so that one partition always fits into memory.
pub(crate) const PARTITIONS: usize = 64;

/// A 128-bit hash of a row's mapped values, keyed with the sync's own random key.
pub(crate) type RowHash = [u8; 16];
