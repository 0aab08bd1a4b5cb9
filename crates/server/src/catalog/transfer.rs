//! The definitions of the state as a project file, and back.
//! Not here: definitions of the project file that the server was started with: they stay where they are.
//! Called by the routes and the commands `export` and `apply`.

use serde::Serialize;
use serde_json::{Map, Value, json};
use tapline_core::codes;
use tapline_core::server_state::{Change, Definition, NewDefinition, Noun};
use tapline_core::yaml::{ConfigErrors, Lookup, Node, Variables};
use utoipa::ToSchema;

use super::edit::{is_free, no_name};
use super::project::{Candidate, fault, of_finding, place};
use super::{Catalog, NOUNS, Reach, yaml};
use crate::masking::pointer_to;
use crate::problem::{Fault, Problem, Result};

/// How a project file is applied.
#[derive(Clone, Copy)]
pub struct Apply<'a> {
    /// Only tell what would change.
    pub dry_run: bool,
    /// Delete definitions that the file does not have.
    pub prune: bool,
    /// Where variables come from; without it they may only stand for secrets, which stay as they are then.
    pub lookup: Option<&'a (dyn Lookup + Sync)>,
    /// Who asks.
    pub by: &'a str,
}

/// What was changed, each as `sources/lake`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Applied {
    /// Definitions that were not there.
    pub created: Vec<String>,
    /// Definitions that were different.
    pub updated: Vec<String>,
    /// Definitions that were the same.
    pub unchanged: Vec<String>,
    /// Definitions that the file does not have.
    pub deleted: Vec<String>,
}

impl Catalog {
    /// The definitions of the state as a project file; secrets are variables named after their place. Drafts are left
    /// out, and named.
    ///
    /// # Errors
    /// What the store says.
    pub async fn export(&self) -> Result<String> {
        let mut text = "version: 1\n".to_owned();
        for noun in NOUNS {
            let definitions = self.store.definitions(noun).await?;
            let (drafts, definitions): (Vec<_>, Vec<_>) = definitions.into_iter().partition(|one| one.draft);
            for draft in drafts {
                text.push_str(&format!("# a draft, left out: {}/{}\n", noun.plural(), draft.name));
            }
            if definitions.is_empty() {
                continue;
            }
            let mut section = Map::new();
            for definition in definitions {
                section.insert(definition.name.clone(), self.with_variables(&definition));
            }
            let mut whole = Map::new();
            whole.insert(noun.plural().to_owned(), Value::Object(section));
            yaml::members(&whole, 0, &mut text);
        }
        Ok(text)
    }

    fn with_variables(&self, definition: &Definition) -> Value {
        let full = self.full(definition);
        let Some(shape) = self.shape(definition.noun, &full) else { return full };
        shape.replace(&full, &mut |path, _| {
            let words: Vec<&str> =
                std::iter::once(definition.name.as_str()).chain(path.iter().map(String::as_str)).collect();
            let upper =
                |character: char| if character.is_ascii_alphanumeric() { character.to_ascii_uppercase() } else { '_' };
            json!(format!("${{{}}}", words.join("_").chars().map(upper).collect::<String>()))
        })
    }

    /// Makes the state say what a project file says. Definitions that it does not have stay, but for `prune`. All of it
    /// is done, or nothing.
    ///
    /// # Errors
    /// Everything that is wrong in the file.
    pub async fn apply(&self, file: &Node, how: Apply<'_>) -> Result<Applied> {
        let wanted = self.wanted(file, how.lookup).await?;
        let mut applied = Applied::default();
        let mut changes = Vec::new();
        let mut candidates = Vec::new();
        for (noun, name, settings, before) in &wanted {
            let label = format!("{}/{name}", noun.plural());
            let (bare, secrets) = self.split(*noun, settings);
            let to = NewDefinition { noun: *noun, name: name.clone(), settings: bare, secrets, draft: false };
            match before {
                Some(before) if !before.draft && self.full(before) == *settings => {
                    applied.unchanged.push(label);
                    continue;
                }
                Some(before) => {
                    applied.updated.push(label);
                    changes.push(Change::Update { name: name.clone(), revision: Some(before.revision), to });
                }
                None => {
                    applied.created.push(label);
                    changes.push(Change::Create(to));
                }
            }
            candidates.push(Candidate { noun: *noun, before: Some(name), name, settings: Some(settings) });
        }
        let mut gone = Vec::new();
        // Those who use others go first.
        for noun in NOUNS.into_iter().rev().filter(|_| how.prune) {
            for definition in self.store.definitions(noun).await? {
                let there = wanted.iter().any(|(other, name, ..)| *other == noun && *name == definition.name);
                if !there {
                    gone.push((noun, definition.name, definition.revision));
                }
            }
        }
        for (noun, name, revision) in &gone {
            applied.deleted.push(format!("{}/{name}", noun.plural()));
            changes.push(Change::Delete { noun: *noun, name: name.clone(), revision: Some(*revision) });
            candidates.push(Candidate { noun: *noun, before: Some(name), name, settings: None });
        }
        self.verify(&candidates).await?;
        if !how.dry_run && !changes.is_empty() {
            self.store.change(changes, how.by).await?;
        }
        Ok(applied)
    }

    /// The definitions of a file, with their secrets and with what they are so far.
    async fn wanted(
        &self,
        file: &Node,
        lookup: Option<&(dyn Lookup + Sync)>,
    ) -> Result<Vec<(Noun, String, Value, Option<Definition>)>> {
        let sections = ["version", "include", "state"].into_iter().chain(NOUNS.iter().map(|noun| noun.plural()));
        let known: Vec<&str> = sections.collect();
        let mut faults: Vec<Fault> = file
            .entries()
            .iter()
            .filter(|(key, _)| !known.contains(&key.text.as_str()))
            .map(|(key, _)| {
                let detail = format!("unknown key `{}`", key.text);
                Fault::new(format!("/{}", key.text), codes::CONF_002, detail)
                    .hint(format!("valid: {}", known.join(", ")))
            })
            .collect();
        if file.get("version").and_then(Node::text) != Some("1") {
            let fault = Fault::new("/version", codes::CONF_002, "the version of the project file is not known");
            faults.push(fault.hint("begin the file with `version: 1`"));
        }
        let mut wanted = Vec::new();
        for noun in NOUNS {
            for (key, node) in file.get(noun.plural()).map(Node::entries).unwrap_or_default() {
                let name = key.text.clone();
                let pointer = format!("/{}/{name}", noun.plural());
                let before = self.store.definition(noun, &name).await?;
                if !is_free(&name) {
                    return Err(no_name(&name));
                }
                if self.is_in_file(noun, &name) {
                    let detail = "comes from the project file that the server was started with";
                    faults.push(Fault::new(pointer, codes::API_002, detail).hint("leave it out here, or there"));
                    continue;
                }
                let settings = self
                    .filled(noun, node, lookup, &pointer, before.as_ref())
                    .and_then(|settings| self.settled(noun, before.as_ref(), &settings));
                match settings {
                    Ok(settings) => wanted.push((noun, name, settings, before)),
                    Err(problem) => faults.extend(problem.into_faults(&pointer)),
                }
            }
        }
        if faults.is_empty() { Ok(wanted) } else { Err(Problem::invalid(faults)) }
    }

    /// Settings with their variables filled in. A variable that stands for a secret and is not there keeps the secret,
    /// where there is one to keep.
    fn filled(
        &self,
        noun: Noun,
        node: &Node,
        lookup: Option<&(dyn Lookup + Sync)>,
        pointer: &str,
        before: Option<&Definition>,
    ) -> Result<Value> {
        let settings = node.to_json();
        let expanded = |value: &Value, place: &str| {
            let mut node = Node::from_json(value, place);
            match lookup {
                Some(lookup) => node.expand(Variables::Expand(lookup)).map(|()| escaped(node.to_json())),
                None => Ok(value.clone()),
            }
        };
        let mut missing = ConfigErrors::default();
        let kept = match self.shape(noun, &settings) {
            None => settings,
            Some(shape) => shape.replace(&settings, &mut |path, secret| {
                let is_variable = secret.as_str().is_some_and(|text| text.starts_with("${") && text.ends_with('}'));
                let mask = json!({ "secret": true });
                match (is_variable, lookup) {
                    (false, _) => secret.clone(),
                    (true, None) => mask,
                    (true, Some(_)) => {
                        expanded(secret, &format!("{pointer}{}", pointer_to(path))).unwrap_or_else(|errors| {
                            if before.is_none_or(|before| !before.secrets.contains_key(&pointer_to(path))) {
                                missing.0.extend(errors.0);
                            }
                            mask
                        })
                    }
                }
            }),
        };
        missing.into_result(())?;
        // Secrets that were just filled in hold no variables any more.
        Ok(expanded(&kept, pointer)?)
    }

    /// Looks for everything that is wrong with definitions that are to be written together.
    async fn verify(&self, candidates: &[Candidate<'_>]) -> Result<()> {
        let before = self.assemble(&[]).await?.errors;
        let assembled = self.assemble(candidates).await?;
        let pointer = |place: &str| format!("/{}", place.replacen('#', "", 1));
        let mut faults: Vec<Fault> = assembled
            .errors
            .0
            .iter()
            .filter(|error| !before.0.contains(error))
            .map(|error| fault(error, pointer(&error.file)))
            .collect();
        for Candidate { noun, name, settings, .. } in candidates.iter().copied() {
            let Some(settings) = settings else { continue };
            let below = format!("/{}/{name}", noun.plural());
            if self.guarded
                && let Err(fault) = crate::addresses::check(settings, &below).await
            {
                faults.push(fault);
            }
            if noun == Noun::Destination {
                faults.extend(self.out_of_reach(&assembled.project, name, &[], &below, Reach::Machine));
            }
            if faults.is_empty() {
                let sql = settings.get("sql").and_then(Value::as_str).unwrap_or_default();
                let findings = self.parts.findings(&assembled.project, noun, name);
                let own = place(noun, name);
                faults.extend(findings.into_iter().map(|finding| of_finding(finding, &own, &below, sql)));
            }
        }
        if faults.is_empty() { Ok(()) } else { Err(Problem::invalid(faults)) }
    }
}

/// Texts in which `${` stands for itself.
fn escaped(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(text.replace("${", "$${")),
        Value::Array(items) => items.into_iter().map(escaped).collect(),
        Value::Object(members) => {
            Value::Object(members.into_iter().map(|(key, member)| (key, escaped(member))).collect())
        }
        other => other,
    }
}
