//! The steps of `tapline check`.
//! Not here: the steps themselves, which sources and destinations take.
//! Called by storage, destinations, the command line and the API.

use std::cell::RefCell;
use std::future::Future;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorReport};

/// One step of testing a connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckStep {
    /// What was tried, such as `connect` or `list`.
    pub name: String,
    /// Whether it worked.
    pub ok: bool,
    /// The error's code; `None` when it worked.
    pub code: Option<String>,
    /// What was found, or what went wrong.
    pub message: Option<String>,
    /// What to do next.
    pub hint: Option<String>,
}

impl CheckStep {
    /// A step that worked.
    pub fn passed(name: impl Into<String>, found: impl Into<String>) -> Self {
        Self { name: name.into(), ok: true, code: None, message: Some(found.into()), hint: None }
    }

    /// A step that failed.
    pub fn failed(name: impl Into<String>, error: &Error) -> Self {
        let ErrorReport { code, message, hint, .. } = ErrorReport::from(error);
        Self { name: name.into(), ok: false, code: Some(code), message: Some(message), hint }
    }
}

/// Steps taken one after the other; after one has failed, the rest are not tried.
#[derive(Debug, Default)]
pub struct CheckSteps {
    steps: Vec<CheckStep>,
}

/// Hears of each step as it ends.
pub type StepObserver = Arc<dyn Fn(&CheckStep) + Send + Sync>;

thread_local! {
    /// Who looks on while this thread works on a check.
    static OBSERVER: RefCell<Option<StepObserver>> = const { RefCell::new(None) };
}

/// Does `check`, telling `observer` each of its steps as it ends: a check itself returns them all at the end.
pub async fn observed<T>(check: impl Future<Output = T>, observer: StepObserver) -> T {
    let mut check = std::pin::pin!(check);
    std::future::poll_fn(|context| {
        // Other work of the thread, between two turns of this check, is nobody's to see.
        let before = OBSERVER.replace(Some(Arc::clone(&observer)));
        let turn = check.as_mut().poll(context);
        OBSERVER.set(before);
        turn
    })
    .await
}

impl CheckSteps {
    /// Takes a step that says what it found and yields a value for the next; `None` when it failed.
    pub async fn take<T>(&mut self, name: &str, step: impl Future<Output = Result<(T, String), Error>>) -> Option<T> {
        let (step, value) = match step.await {
            Ok((value, found)) => (CheckStep::passed(name, found), Some(value)),
            Err(error) => (CheckStep::failed(name, &error), None),
        };
        if let Some(observer) = OBSERVER.with_borrow(Option::clone) {
            observer(&step);
        }
        self.steps.push(step);
        value
    }

    /// The steps taken so far.
    pub fn finish(self) -> Vec<CheckStep> {
        self.steps
    }
}

/// The outcome for one connection: `tapline check --format json` prints an array of these.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckReport {
    /// The connection's name in the project.
    pub name: String,
    /// `source` or `destination`.
    pub kind: String,
    /// Whether every step worked.
    pub ok: bool,
    /// The steps, in order; the first that failed is the last.
    pub steps: Vec<CheckStep>,
}

impl CheckReport {
    /// A report over `steps`.
    pub fn new(name: impl Into<String>, kind: impl Into<String>, steps: Vec<CheckStep>) -> Self {
        Self { name: name.into(), kind: kind.into(), ok: steps.iter().all(|step| step.ok), steps }
    }
}
