//! Reading from S3: settings, identities, listings, pinned reads, checks and policy documents.
//! Not here: SQL, schemas and the reading of formats (the engine).
//! Called by the engine for every run, and by the commands that check or describe a source.

mod cache;
mod check;
mod client;
mod config;
mod credentials;
mod failure;
mod format;
mod glob;
mod lint;
mod listing;
mod location;
mod manifest;
mod partition;
mod pattern;
mod pinned;
mod policy;
mod retry;
mod source;
mod streams;
mod writable;

pub use client::Traffic;
pub use config::{Auth, AuthKeys, S3SourceConfig, S3SourceKeys};
pub use format::{FileFormat, FileType};
pub use location::S3Url;
pub use manifest::{FileEntry, Manifest};
pub use pattern::FilePattern;
pub use pinned::{PinnedStore, carried_error};
pub use policy::{permission_policy, trust_policy};
pub use retry::RetryPolicy;
pub use source::{ConnectOptions, S3Source};
pub use streams::{StreamFiles, streams};
