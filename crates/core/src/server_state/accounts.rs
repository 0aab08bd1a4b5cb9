//! Who may do what, and who did what: users, their sign-ins, tokens of programs, the audit log.
//! Not here: hashing and comparing (the server's `auth`).
//! Called by the server's `auth`, its routes of users, tokens and the audit log, and by `tapline token`.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Page, PageRequest};
use crate::error::Result;

/// What somebody may do; each role may all that those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Looks, but sees no cell values.
    Viewer,
    /// Defines and runs.
    Editor,
    /// Also manages people, tokens and alerts, and forgets what was delivered.
    Admin,
}

impl Role {
    /// The role as JSON spells it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Editor => "editor",
            Self::Admin => "admin",
        }
    }
}

/// A person who signs in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Random.
    pub id: String,
    /// In lower case; unique.
    pub email: String,
    /// As they call themselves.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// The password's hash in the PHC string format.
    pub password_hash: String,
    /// Whether they may not sign in.
    pub disabled: bool,
    /// When they were made.
    pub created_at: DateTime<Utc>,
}

/// A browser in which a user is signed in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignIn {
    /// Random; the part of the cookie by which it is found.
    pub id: String,
    /// The hash of the cookie's other part, in hexadecimal.
    pub hash: String,
    /// Who.
    pub user: String,
    /// What requests that change something have to repeat.
    pub csrf: String,
    /// Since when.
    pub created_at: DateTime<Utc>,
    /// Until when.
    pub expires_at: DateTime<Utc>,
}

/// What a program signs its requests with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// Random; the part of the token by which it is found.
    pub id: String,
    /// What it is for.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// The hash of the token's other part, in hexadecimal.
    pub hash: String,
    /// Since when.
    pub created_at: DateTime<Utc>,
    /// By whom it was made.
    pub created_by: String,
    /// Until when; `None` is for ever.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was last used, to the minute or so.
    pub last_used_at: Option<DateTime<Utc>>,
}

/// The sort of somebody who acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActorKind {
    /// A person.
    User,
    /// A program.
    Token,
    /// Tapline by itself, or its command line.
    System,
}

/// Somebody who acts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// Their sort.
    pub kind: ActorKind,
    /// The user's e-mail address, or the token's name.
    pub name: String,
}

/// A line of the audit log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// Its number, given by the store; 0 before.
    pub id: u64,
    /// When.
    pub at: DateTime<Utc>,
    /// Who.
    pub actor: Actor,
    /// What, such as `sources.update`.
    pub action: String,
    /// To what; its name.
    pub target: Option<String>,
    /// From which address.
    pub address: Option<String>,
    /// More, without secrets and cell values.
    pub details: serde_json::Value,
}

/// Keeps accounts and the audit log.
#[async_trait]
pub trait Accounts: Send + Sync {
    /// All users, by e-mail address.
    async fn users(&self) -> Result<Vec<User>>;

    /// The user with this id.
    async fn user(&self, id: &str) -> Result<Option<User>>;

    /// Keeps a new user; `API-002` where the e-mail address is taken, or, with `first`, where there is a user already.
    async fn create_user(&self, user: &User, first: bool) -> Result<()>;

    /// Writes over a user with the same id; `API-001` where there is none, `API-002` where the address is taken, `API-004`
    /// where no admin would be left who can sign in.
    async fn update_user(&self, user: &User) -> Result<()>;

    /// Forgets a user and their sign-ins. Fails as an update does.
    async fn delete_user(&self, id: &str) -> Result<()>;

    /// Keeps a sign-in.
    async fn put_sign_in(&self, sign_in: &SignIn) -> Result<()>;

    /// The sign-in with this id, also one that has ended.
    async fn sign_in(&self, id: &str) -> Result<Option<SignIn>>;

    /// Ends a sign-in.
    async fn drop_sign_in(&self, id: &str) -> Result<()>;

    /// Ends the sign-ins of a user, except the one with the id `kept`.
    async fn drop_sign_ins(&self, user: &str, kept: Option<&str>) -> Result<()>;

    /// All tokens, by name.
    async fn tokens(&self) -> Result<Vec<Token>>;

    /// The token with this id, also one that has ended.
    async fn token(&self, id: &str) -> Result<Option<Token>>;

    /// Keeps a new token.
    async fn create_token(&self, token: &Token) -> Result<()>;

    /// Notes when a token was used; one that is gone stays so.
    async fn touch_token(&self, id: &str, at: DateTime<Utc>) -> Result<()>;

    /// Forgets a token; `API-001` where there is none.
    async fn delete_token(&self, id: &str) -> Result<()>;

    /// Appends to the audit log. The entry's number is the store's.
    async fn append_audit(&self, entry: &AuditEntry) -> Result<()>;

    /// The audit log, newest first; with `search` only lines whose actor, action or target contains it, in any case.
    async fn audit(&self, search: Option<&str>, page: &PageRequest) -> Result<Page<AuditEntry>>;
}
