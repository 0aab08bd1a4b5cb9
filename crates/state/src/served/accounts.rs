//! Users, sign-ins and tokens as records, and the audit log.
//! Not here: the promise ([`Accounts`]).
//! Called through that trait alone.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use tapline_core::server_state::{Accounts, AuditEntry, Page, PageRequest, Role, SignIn, Token, User};
use tapline_core::{Error, Result, codes};

use super::definitions::{absent, taken};
use super::{ATTEMPTS, Served, outrun, position, put};
use crate::backend::{Backend, Guard, Write};
use crate::record::{loaded, parsed, time, unreadable};

const USER: &str = "user";
const SIGN_IN: &str = "sign_in";
const TOKEN: &str = "token";
const COUNTER: &str = "users";

/// How many lines of the audit log are looked through at once.
const LINES_AT_ONCE: i64 = 500;

#[async_trait]
impl<S: Backend> Accounts for Served<S> {
    async fn users(&self) -> Result<Vec<User>> {
        let mut users: Vec<User> = self.all(USER).await?.into_iter().map(|(_, user)| user).collect();
        users.sort_by(|one, other| one.email.cmp(&other.email));
        Ok(users)
    }

    async fn user(&self, id: &str) -> Result<Option<User>> {
        self.get(USER, id).await
    }

    async fn create_user(&self, user: &User, first: bool) -> Result<()> {
        self.change_users(|users| {
            if first && !users.is_empty() {
                return Err(Error::new(codes::API_002, "the first user of this server exists already")
                    .hint("sign in, or ask an admin for an account"));
            }
            unclaimed(users, user)?;
            Ok(vec![put(USER, &user.id, user)?])
        })
        .await
    }

    async fn update_user(&self, user: &User) -> Result<()> {
        self.change_users(|users| {
            let Some(before) = users.iter().position(|other| other.id == user.id) else {
                return Err(absent(USER, &user.email));
            };
            unclaimed(users, user)?;
            users[before] = user.clone();
            governed(users)?;
            Ok(vec![put(USER, &user.id, user)?])
        })
        .await
    }

    async fn delete_user(&self, id: &str) -> Result<()> {
        self.change_users(|users| {
            let before = users.len();
            users.retain(|user| user.id != id);
            if users.len() == before {
                return Err(absent(USER, id));
            }
            governed(users)?;
            Ok(vec![Write::Delete { kind: USER, key: id.to_owned() }])
        })
        .await?;
        self.drop_sign_ins(id, None).await
    }

    async fn put_sign_in(&self, sign_in: &SignIn) -> Result<()> {
        self.put(SIGN_IN, &sign_in.id, sign_in).await
    }

    async fn sign_in(&self, id: &str) -> Result<Option<SignIn>> {
        self.get(SIGN_IN, id).await
    }

    async fn drop_sign_in(&self, id: &str) -> Result<()> {
        self.delete(SIGN_IN, id).await
    }

    async fn drop_sign_ins(&self, user: &str, kept: Option<&str>) -> Result<()> {
        self.forget_sign_ins(|sign_in| sign_in.user == user && kept != Some(sign_in.id.as_str())).await
    }

    async fn tokens(&self) -> Result<Vec<Token>> {
        let mut tokens: Vec<Token> = self.all(TOKEN).await?.into_iter().map(|(_, token)| token).collect();
        tokens.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(tokens)
    }

    async fn token(&self, id: &str) -> Result<Option<Token>> {
        self.get(TOKEN, id).await
    }

    async fn create_token(&self, token: &Token) -> Result<()> {
        self.put(TOKEN, &token.id, token).await
    }

    async fn touch_token(&self, id: &str, at: DateTime<Utc>) -> Result<()> {
        let Some(record) = self.store.record(TOKEN, id).await? else { return Ok(()) };
        let token = Token { last_used_at: Some(at), ..parsed(&record.body)? };
        let body = serde_json::to_string(&token).map_err(unreadable)?;
        let guard = Guard::At(record.revision);
        self.store.write_all(&[Write::Put { kind: TOKEN, key: id.to_owned(), guard, body, sealed: None }]).await?;
        Ok(())
    }

    async fn delete_token(&self, id: &str) -> Result<()> {
        if self.store.record(TOKEN, id).await?.is_none() {
            return Err(absent(TOKEN, id));
        }
        self.delete(TOKEN, id).await
    }

    async fn append_audit(&self, entry: &AuditEntry) -> Result<()> {
        self.store.append_audit(&time(entry.at), &serde_json::to_string(entry).map_err(unreadable)?).await
    }

    async fn audit(&self, search: Option<&str>, page: &PageRequest) -> Result<Page<AuditEntry>> {
        let mut before = position(page.after.as_deref(), i64::MAX)?;
        let search = search.map(str::to_lowercase);
        let mut items: Vec<AuditEntry> = Vec::new();
        loop {
            let lines = self.store.audit_before(before, LINES_AT_ONCE).await?;
            let Some(last) = lines.last().map(|(position, _)| *position) else { return Ok(Page { items, next: None }) };
            for (position, body) in lines {
                let entry = AuditEntry { id: loaded(position)?, ..parsed(&body)? };
                if search.as_deref().is_some_and(|search| !mentions(&entry, search)) {
                    continue;
                }
                if items.len() == page.limit {
                    let next = items.last().map(|entry| entry.id.to_string());
                    return Ok(Page { items, next });
                }
                items.push(entry);
            }
            before = last;
        }
    }
}

impl<S: Backend> Served<S> {
    /// Makes the writes that `plan` finds right for the users there are; again where they change meanwhile.
    async fn change_users(&self, plan: impl Fn(&mut Vec<User>) -> Result<Vec<Write>> + Send + Sync) -> Result<()> {
        for _ in 0..ATTEMPTS {
            let count = self.count(COUNTER).await?;
            let mut users = self.users().await?;
            let mut writes = plan(&mut users)?;
            writes.push(count);
            if self.store.write_all(&writes).await? {
                return Ok(());
            }
        }
        Err(outrun("users"))
    }

    /// Forgets sign-ins that ended before `now`.
    pub(super) async fn forget_ended_sign_ins(&self, now: DateTime<Utc>) -> Result<()> {
        self.forget_sign_ins(|sign_in| sign_in.expires_at <= now).await
    }

    async fn forget_sign_ins(&self, forgotten: impl Fn(&SignIn) -> bool + Send) -> Result<()> {
        let sign_ins: Vec<(String, SignIn)> = self.all(SIGN_IN).await?;
        let writes: Vec<Write> = sign_ins
            .into_iter()
            .filter(|(_, sign_in)| forgotten(sign_in))
            .map(|(key, _)| Write::Delete { kind: SIGN_IN, key })
            .collect();
        self.store.write_all(&writes).await?;
        Ok(())
    }
}

fn unclaimed(users: &[User], user: &User) -> Result<()> {
    if users.iter().any(|other| other.email == user.email && other.id != user.id) {
        return Err(taken(USER, &user.email));
    }
    Ok(())
}

/// Fails where no admin is left who can sign in.
fn governed(users: &[User]) -> Result<()> {
    if users.iter().any(|user| user.role == Role::Admin && !user.disabled) {
        return Ok(());
    }
    Err(Error::new(codes::API_004, "this is the last admin who can sign in").hint("make somebody else an admin first"))
}

fn mentions(entry: &AuditEntry, search: &str) -> bool {
    let contains = |text: &str| text.to_lowercase().contains(search);
    contains(&entry.actor.name) || contains(&entry.action) || entry.target.as_deref().is_some_and(contains)
}
