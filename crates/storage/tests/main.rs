//! The source against a real S3 protocol: an in-process endpoint that verifies signatures and policies and injects faults.

mod check;
mod faults;
mod identity;
mod keys;
mod manifest;
mod pinned;
mod support;
