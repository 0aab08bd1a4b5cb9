//! Creating, changing, renaming and deleting definitions.
//! Not here: what a project consists of and when it is right (`project`).
//! Called by the routes of the four nouns, and by `apply`.

use serde_json::{Value, json};
use tapline_core::codes;
use tapline_core::config;
use tapline_core::server_state::{Change, Definition, NewDefinition, Noun};
use tapline_core::yaml::{ConfigErrors, Node};

use super::project::Candidate;
use super::{Catalog, Entry, Reach, refuse_variables};
use crate::masking::first_mask;
use crate::problem::{Fault, Problem, Result};

/// Where settings stand in a request.
const POINTER: &str = "/settings";

/// Words that stand in paths where names stand otherwise.
const RESERVED: [&str; 7] = ["check", "external-id", "key-check", "plan", "policy", "preview", "regions"];

/// What a request wants to save.
#[derive(Debug, Clone)]
pub struct Edit {
    /// The name it is to have.
    pub name: String,
    /// Its settings; secrets that are left out or masked stay as they are.
    pub settings: Value,
    /// Whether it is to be kept although it may not work yet.
    pub draft: bool,
    /// The revision that the change was made in; whatever is there is overwritten without it.
    pub revision: Option<u64>,
    /// Which files of the machine it may name.
    pub reach: Reach,
}

impl Catalog {
    /// Makes a definition.
    ///
    /// # Errors
    /// A name that is none or taken, and settings that cannot be kept.
    pub async fn create(&self, noun: Noun, edit: Edit, by: &str) -> Result<Entry> {
        if !is_free(&edit.name) {
            return Err(no_name(&edit.name));
        }
        if self.is_in_file(noun, &edit.name) || self.store.definition(noun, &edit.name).await?.is_some() {
            return Err(taken(noun, &edit.name));
        }
        let settings = self.settled(noun, None, &edit.settings)?;
        self.accept(noun, None, &edit, &settings, &[]).await?;
        let change = Change::Create(self.record(noun, &edit, &settings));
        self.written(self.store.change(vec![change], by).await?)
    }

    /// Changes a definition, and its name where another is given: those that use it follow.
    ///
    /// # Errors
    /// That there is none, that it was changed since it was read, and as [`create`](Self::create).
    pub async fn update(&self, noun: Noun, name: &str, edit: Edit, by: &str) -> Result<Entry> {
        let definition = self.editable(noun, name).await?;
        if edit.revision.is_some_and(|revision| revision != definition.revision) {
            return Err(Problem::stale(format!("the {} `{name}` was changed since it was read", noun.word())));
        }
        let settings = self.settled(noun, Some(&definition), &edit.settings)?;
        let mut followers = Vec::new();
        if edit.name != name {
            if !is_free(&edit.name) {
                return Err(no_name(&edit.name));
            }
            if self.is_in_file(noun, &edit.name) || self.store.definition(noun, &edit.name).await?.is_some() {
                return Err(taken(noun, &edit.name));
            }
            followers = self.followers(noun, name, &edit.name).await?;
        }
        if edit.draft && !definition.draft {
            let users = self.users(noun, name).await?;
            if !users.is_empty() {
                return Err(in_use(noun, name, &users, "made a draft"));
            }
        }
        self.accept(noun, Some(name), &edit, &settings, &followers).await?;
        let to = self.record(noun, &edit, &settings);
        let mut changes = vec![Change::Update { name: name.to_owned(), revision: Some(definition.revision), to }];
        changes.extend(followers.into_iter().map(
            |Definition { noun, name, settings, secrets, draft, revision, .. }| {
                let to = NewDefinition { noun, name: name.clone(), settings, secrets, draft };
                Change::Update { name, revision: Some(revision), to }
            },
        ));
        self.written(self.store.change(changes, by).await?)
    }

    /// Deletes a definition that nothing uses.
    ///
    /// # Errors
    /// That there is none, and who uses it.
    pub async fn delete(&self, noun: Noun, name: &str, by: &str) -> Result<()> {
        self.editable(noun, name).await?;
        let users = self.users(noun, name).await?;
        if !users.is_empty() {
            return Err(in_use(noun, name, &users, "deleted"));
        }
        self.store.change(vec![Change::Delete { noun, name: name.to_owned(), revision: None }], by).await?;
        if matches!(noun, Noun::Source | Noun::Destination) {
            self.store.forget_last_check(noun, name).await?;
        }
        Ok(())
    }

    /// Settings of a request that only tries them, with the secrets of the definition that they are for.
    ///
    /// # Errors
    /// Settings that are none.
    pub async fn tried(&self, noun: Noun, name: Option<&str>, settings: &Value) -> Result<Value> {
        let before = match name {
            Some(name) => self.store.definition(noun, name).await?,
            None => None,
        };
        self.settled(noun, before.as_ref(), settings)
    }

    /// Who uses a definition: `model orders`, …
    ///
    /// # Errors
    /// What the store says.
    pub async fn users(&self, noun: Noun, name: &str) -> Result<Vec<String>> {
        let mut users = Vec::new();
        for (user, key) in users_of(noun) {
            let entries = self.entries(*user).await?;
            let using = entries.iter().filter(|entry| entry.text(key) == name);
            users.extend(using.map(|entry| format!("{} `{}`", user.word(), entry.name)));
        }
        Ok(users)
    }

    /// A definition that can be changed here.
    async fn editable(&self, noun: Noun, name: &str) -> Result<Definition> {
        if self.is_in_file(noun, name) {
            return Err(Problem::conflict(format!("the {} `{name}` comes from the project file", noun.word()))
                .hint("change it there, and start the server again"));
        }
        let definition = self.store.definition(noun, name).await?;
        definition.ok_or_else(|| Problem::not_found(noun.word(), name))
    }

    /// Settings with the secrets that were kept, and with what the server adds.
    pub(super) fn settled(&self, noun: Noun, before: Option<&Definition>, settings: &Value) -> Result<Value> {
        let fault = |detail: &str| Problem::invalid(vec![Fault::new(POINTER, codes::CONF_002, detail)]);
        if !settings.is_object() {
            return Err(fault("expected the settings as an object"));
        }
        let sent = settings;
        let mut settings = match (self.shape(noun, sent), before) {
            (Some(shape), Some(before)) => shape.restore(sent, &self.full(before)),
            (Some(shape), None) => shape.restore(sent, &json!({})),
            (None, _) => sent.clone(),
        };
        if let Some(mask) = first_mask(&settings) {
            let detail = "a secret is left out or masked, but there is none to keep";
            let fault = Fault::new(format!("{POINTER}{mask}"), codes::CONF_002, detail);
            return Err(Problem::invalid(vec![
                fault.hint("give the secret itself; `tapline apply` fills in ${VARIABLES}"),
            ]));
        }
        if let Some(secret) = before.and_then(|before| self.carried_off(before, sent, &settings)) {
            let detail = "a secret is kept for the server that it was given for, and this is another one";
            let fault = Fault::new(format!("{POINTER}{secret}"), codes::CONF_002, detail);
            return Err(Problem::invalid(vec![fault.hint("give the secret again")]));
        }
        if noun == Noun::Source {
            add_external_id(&mut settings);
        }
        let mut errors = ConfigErrors::default();
        refuse_variables(&mut Node::from_json(&settings, POINTER), &mut errors);
        errors.into_result(settings).map_err(Problem::from)
    }

    /// Whether settings may be saved: a draft always, other settings where they are right.
    async fn accept(
        &self,
        noun: Noun,
        before: Option<&str>,
        edit: &Edit,
        settings: &Value,
        followers: &[Definition],
    ) -> Result<()> {
        if edit.draft {
            return Ok(());
        }
        let followers: Vec<(Noun, &str, Value)> = followers
            .iter()
            .filter(|definition| !definition.draft)
            .map(|definition| (definition.noun, definition.name.as_str(), self.full(definition)))
            .collect();
        let mut candidates = vec![Candidate { noun, before, name: &edit.name, settings: Some(settings) }];
        candidates.extend(followers.iter().map(|(noun, name, settings)| Candidate {
            noun: *noun,
            before: Some(name),
            name,
            settings: Some(settings),
        }));
        self.validate(&candidates, POINTER, edit.reach).await.map(drop)
    }

    fn record(&self, noun: Noun, edit: &Edit, settings: &Value) -> NewDefinition {
        let (settings, secrets) = self.split(noun, settings);
        NewDefinition { noun, name: edit.name.clone(), settings, secrets, draft: edit.draft }
    }

    /// Those who use a definition that gets another name, as they are to be then.
    async fn followers(&self, noun: Noun, name: &str, to: &str) -> Result<Vec<Definition>> {
        if noun == Noun::Sync {
            return Err(Problem::conflict("a sync keeps its name: its history, and what it delivered, go by it")
                .hint("make another sync; its first run may need `replace_existing` or `adopt`"));
        }
        let mut followers = Vec::new();
        for (user, key) in users_of(noun) {
            if let Some((held, _)) =
                self.in_file(*user).iter().find(|(_, node)| node.get(key).and_then(Node::text) == Some(name))
            {
                let holder =
                    format!("the {} `{}`, which comes from the project file, uses this name", user.word(), held.text);
                return Err(Problem::conflict(holder));
            }
            for mut definition in self.store.definitions(*user).await? {
                if definition.settings.get(key).and_then(Value::as_str) == Some(name) {
                    definition.settings[*key] = json!(to);
                    followers.push(definition);
                }
            }
        }
        Ok(followers)
    }

    /// The first of the definitions that were written.
    fn written(&self, definitions: Vec<Definition>) -> Result<Entry> {
        let first = definitions.first().map(|definition| Entry::of_state(self, definition));
        first.ok_or_else(|| tapline_core::Error::internal("the store wrote no definition").into())
    }
}

/// Which nouns name a noun, and by which key.
fn users_of(noun: Noun) -> &'static [(Noun, &'static str)] {
    match noun {
        Noun::Source => &[(Noun::Model, "source")],
        Noun::Model => &[(Noun::Sync, "model")],
        Noun::Destination => &[(Noun::Sync, "destination")],
        Noun::Sync | Noun::Alert => &[],
    }
}

/// A role that is given no external id gets one: whoever knows only the role's name cannot read through this server.
fn add_external_id(settings: &mut Value) {
    let absent = |value: Option<&Value>| value.and_then(Value::as_str).is_none_or(str::is_empty);
    let id = || json!(uuid::Uuid::new_v4().to_string());
    if settings.get("auth_type") == Some(&json!("role")) && absent(settings.get("external_id")) {
        settings["external_id"] = id();
    }
    if let Some(auth) = settings.get_mut("auth")
        && auth.get("type") == Some(&json!("iam_role"))
        && absent(auth.get("external_id"))
    {
        auth["external_id"] = id();
    }
}

pub(super) fn is_free(name: &str) -> bool {
    config::is_name(name) && !RESERVED.contains(&name)
}

pub(super) fn no_name(name: &str) -> Problem {
    let fault = Fault::new("/name", codes::CONF_002, format!("`{}` cannot be a name", name.escape_debug()));
    Problem::invalid(vec![fault.hint("use letters, digits, `_`, `-` and `.`")])
}

fn taken(noun: Noun, name: &str) -> Problem {
    Problem::conflict(format!("there is a {} `{name}` already", noun.word())).hint("choose another name")
}

fn in_use(noun: Noun, name: &str, users: &[String], what: &str) -> Problem {
    Problem::conflict(format!("the {} `{name}` cannot be {what}: it is used by {}", noun.word(), users.join(", ")))
        .hint("delete those first, or let them use another")
}
