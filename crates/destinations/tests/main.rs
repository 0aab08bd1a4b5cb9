//! The destinations against real servers and files. One binary for all of them.

mod postgres;
