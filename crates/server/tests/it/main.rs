//! The server's routes from outside, without a socket: requests go straight into the router.
//! Not here: the real binary and real connections (the end-to-end tests).
//! Called by the test runner.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

mod accounts;
mod alerts;
mod app;
mod authorisation;
mod definitions;
mod document;
mod erase;
mod models;
mod protection;
mod reach;
mod schedules;
mod secrets;
mod sources;
mod syncs;
mod transfer;
