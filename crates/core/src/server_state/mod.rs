//! What the server keeps beside the runs: definitions, schedules, history, accounts, alerts.
//! Not here: the stores themselves (crate `tapline-state`), and what the server does with all this (`tapline-server`).
//! Called by the server, and by the commands that make tokens, change keys and erase.

mod accounts;
mod alerts;
mod definitions;
mod history;
mod operations;

pub use accounts::{Accounts, Actor, ActorKind, AuditEntry, Role, SignIn, Token, User};
pub use alerts::{AlertCondition, AlertDelivery, Alerts};
pub use definitions::{Change, Definition, Definitions, NewDefinition, Noun, Secrets, Version};
pub use history::{History, RejectFilter, RunCause, RunDay, RunFacts, RunFilter, RunRecord, StoredEvent};
pub use operations::{Job, LastCheck, Operations};

use async_trait::async_trait;

use crate::error::Result;
use crate::state::StateStore;

/// Which part of a list is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PageRequest {
    /// Where the page before ended: its [`Page::next`].
    pub after: Option<String>,
    /// At most so many items.
    pub limit: usize,
}

/// A part of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    /// The items, in the list's order.
    pub items: Vec<T>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<String>,
}

/// A state store that a server works on.
///
/// # Contract
/// - Every method that writes is durable when it returns, and changes all that it says or nothing.
/// - Secrets of definitions are sealed at rest. Passwords, sessions and tokens are kept as hashes that the caller makes.
/// - A cursor that no page of the list gave is refused with `API-006`.
#[async_trait]
pub trait ServerStore: StateStore + Definitions + Operations + History + Accounts + Alerts {
    /// `sqlite` or `postgres`.
    fn kind(&self) -> &'static str;

    /// Whether the store can be read now; the answer of `/readyz`.
    async fn ping(&self) -> Result<()>;

    /// Forgets what has had its time: sign-ins that ended, and events and audit entries that are too old. Called at the
    /// start and once a day.
    async fn tidy(&self) -> Result<()>;
}
