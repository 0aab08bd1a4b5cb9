//! The conformance suites: what an implementer of a promise must do, said in code.
//! Not here: the promises' own words, which stand with the traits.
//! Called by the tests of the crates that implement them; compiled only with the feature `testing`.

#![allow(clippy::unwrap_used, reason = "a panic is how a suite fails")]

pub mod bench;
pub mod delivering;
pub mod destination;
