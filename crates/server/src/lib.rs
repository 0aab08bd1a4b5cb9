//! The server: HTTP API, scheduler and web UI.
//! Not here: runs (the engine), storage of state (`tapline-state`); both come in from the binary's wiring.
//! Called by `tapline serve`.
