//! Definitions as records: one per noun and name, with their secrets sealed for their id.
//! Not here: the promise ([`Definitions`]).
//! Called through that trait alone.

use std::collections::BTreeMap;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tapline_core::server_state::{Change, Definition, Definitions, NewDefinition, Noun, Secrets, Version};
use tapline_core::{Error, Result, Secret, codes};

use super::{ATTEMPTS, Record, Served, outrun};
use crate::backend::{Backend, Guard, Write};
use crate::record::{parsed, unreadable};
use crate::seal::Sealer;

/// All nouns that are kept as definitions.
pub(super) const NOUNS: [Noun; 5] = [Noun::Source, Noun::Model, Noun::Destination, Noun::Sync, Noun::Alert];
const COUNTER: &str = "definitions";

/// A definition as a record's body.
#[derive(Serialize, Deserialize)]
struct Body {
    id: String,
    settings: Value,
    draft: bool,
    revision: u64,
    updated_at: DateTime<Utc>,
    updated_by: String,
}

/// The definitions that changes have touched so far, by noun and name; `None` where there is none of the name.
type Touched = BTreeMap<(Noun, String), Option<Definition>>;

#[async_trait]
impl<S: Backend> Definitions for Served<S> {
    async fn definitions(&self, noun: Noun) -> Result<Vec<Definition>> {
        let mut definitions = Vec::new();
        for record in self.store.records(noun.word()).await? {
            definitions.push(opened(self.store.sealer(), noun, record).await?);
        }
        Ok(definitions)
    }

    async fn definition(&self, noun: Noun, name: &str) -> Result<Option<Definition>> {
        match self.store.record(noun.word(), name).await? {
            Some(record) => opened(self.store.sealer(), noun, record).await.map(Some),
            None => Ok(None),
        }
    }

    async fn change(&self, changes: Vec<Change>, by: &str) -> Result<Vec<Definition>> {
        for _ in 0..ATTEMPTS {
            let mut writes = vec![self.count(COUNTER).await?];
            let mut touched = Touched::new();
            let mut results = Vec::new();
            for change in &changes {
                results.extend(self.plan(change, by, &mut touched, &mut writes).await?);
            }
            if self.store.write_all(&writes).await? {
                return Ok(results);
            }
        }
        Err(outrun("definitions"))
    }

    async fn versions(&self, id: &str) -> Result<Vec<Version>> {
        self.store.versions(id).await?.iter().map(|body| parsed(body)).collect()
    }
}

impl<S: Backend> Served<S> {
    /// Adds the writes of one change, after those of the changes before it.
    async fn plan(
        &self,
        change: &Change,
        by: &str,
        touched: &mut Touched,
        writes: &mut Vec<Write>,
    ) -> Result<Option<Definition>> {
        match change {
            Change::Create(new) => {
                self.free(new.noun, &new.name, touched).await?;
                let definition = written(new, uuid::Uuid::new_v4().to_string(), 1, by);
                self.keep(&definition, true, touched, writes).await?;
                Ok(Some(definition))
            }
            Change::Update { name, revision, to } => {
                let before = self.present(to.noun, name, *revision, touched).await?;
                if to.name != *name {
                    self.free(to.noun, &to.name, touched).await?;
                    remove(to.noun, name, touched, writes);
                }
                let definition = written(to, before.id, before.revision + 1, by);
                self.keep(&definition, before.settings != to.settings, touched, writes).await?;
                Ok(Some(definition))
            }
            Change::Delete { noun, name, revision } => {
                let before = self.present(*noun, name, *revision, touched).await?;
                remove(*noun, name, touched, writes);
                writes.push(Write::ForgetVersions { definition: before.id });
                Ok(None)
            }
        }
    }

    /// The definition of a name, with the changes before.
    async fn current(&self, noun: Noun, name: &str, touched: &Touched) -> Result<Option<Definition>> {
        match touched.get(&(noun, name.to_owned())) {
            Some(definition) => Ok(definition.clone()),
            None => self.definition(noun, name).await,
        }
    }

    /// The definition that is to be changed.
    async fn present(&self, noun: Noun, name: &str, revision: Option<u64>, touched: &Touched) -> Result<Definition> {
        let definition = self.current(noun, name, touched).await?.ok_or_else(|| absent(noun.word(), name))?;
        match revision {
            Some(revision) if revision != definition.revision => Err(Error::new(
                codes::API_003,
                format!("{} {name} was changed by {} meanwhile", noun.word(), definition.updated_by),
            )
            .hint("read it again, and make the change on what it is now")),
            _ => Ok(definition),
        }
    }

    async fn free(&self, noun: Noun, name: &str, touched: &Touched) -> Result<()> {
        match self.current(noun, name, touched).await? {
            Some(_) => Err(taken(noun.word(), name)),
            None => Ok(()),
        }
    }

    /// Adds the writes that keep a definition, and, where it is a new one, its version.
    async fn keep(
        &self,
        definition: &Definition,
        new_version: bool,
        touched: &mut Touched,
        writes: &mut Vec<Write>,
    ) -> Result<()> {
        writes.push(sealed(self.store.sealer(), definition).await?);
        if new_version {
            let version = Version {
                revision: definition.revision,
                settings: definition.settings.clone(),
                at: definition.updated_at,
                by: definition.updated_by.clone(),
            };
            writes.push(Write::Version {
                definition: definition.id.clone(),
                revision: definition.revision,
                body: serde_json::to_string(&version).map_err(unreadable)?,
            });
        }
        touched.insert((definition.noun, definition.name.clone()), Some(definition.clone()));
        Ok(())
    }
}

/// What somebody is told who asks for what is not there.
pub(super) fn absent(what: &str, name: &str) -> Error {
    Error::new(codes::API_001, format!("there is no {what} {name}"))
}

/// What somebody is told whose name another has.
pub(super) fn taken(what: &str, name: &str) -> Error {
    Error::new(codes::API_002, format!("there is a {what} {name} already")).hint("choose another name")
}

fn remove(noun: Noun, name: &str, touched: &mut Touched, writes: &mut Vec<Write>) {
    writes.push(Write::Delete { kind: noun.word(), key: name.to_owned() });
    touched.insert((noun, name.to_owned()), None);
}

fn written(new: &NewDefinition, id: String, revision: u64, by: &str) -> Definition {
    let NewDefinition { noun, name, settings, secrets, draft } = new.clone();
    Definition { id, noun, name, settings, secrets, draft, revision, updated_at: Utc::now(), updated_by: by.to_owned() }
}

/// The write that keeps a definition, with its secrets sealed.
pub(super) async fn sealed(sealer: &Sealer, definition: &Definition) -> Result<Write> {
    let Definition { id, noun, name, settings, secrets, draft, revision, updated_at, updated_by } = definition.clone();
    let sealed = if secrets.is_empty() {
        None
    } else {
        let clear: BTreeMap<&str, &str> =
            secrets.iter().map(|(pointer, secret)| (pointer.as_str(), secret.expose())).collect();
        Some(sealer.seal(&context(&id), &serde_json::to_vec(&clear).map_err(unreadable)?).await?)
    };
    let body = Body { id, settings, draft, revision, updated_at, updated_by };
    Ok(Write::Put {
        kind: noun.word(),
        key: name,
        guard: Guard::Any,
        body: serde_json::to_string(&body).map_err(unreadable)?,
        sealed,
    })
}

/// The definition that a record holds.
pub(super) async fn opened(sealer: &Sealer, noun: Noun, record: Record) -> Result<Definition> {
    let Body { id, settings, draft, revision, updated_at, updated_by } = parsed(&record.body)?;
    let secrets = match record.sealed {
        None => Secrets::new(),
        Some(sealed) => {
            let clear = sealer
                .open(&context(&id), &sealed)
                .await
                .map_err(|error| error.context(format!("reading the secrets of {} {}", noun.word(), record.key)))?;
            let clear: BTreeMap<String, String> = serde_json::from_slice(&clear).map_err(unreadable)?;
            clear.into_iter().map(|(pointer, secret)| (pointer, Secret::from(secret))).collect()
        }
    };
    Ok(Definition { id, noun, name: record.key, settings, secrets, draft, revision, updated_at, updated_by })
}

/// What the secrets of a definition are sealed for. No sync has a name with a slash.
fn context(id: &str) -> String {
    format!("definition/{id}")
}
