//! The crate from outside: whole tables in, batches and rejects out.
//! Each module holds one kind of promise; unit tests of the parts live with the parts.

mod dialects;
mod properties;
mod ranges;
mod reading;
mod support;
mod types;
