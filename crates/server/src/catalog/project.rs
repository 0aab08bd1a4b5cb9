//! The whole project, put together from the file and the state, and checked by the code that checks project files.
//! Not here: what is wrong with a source, a destination or SQL (`Parts::findings` knows).
//! Called before anything is saved, and whenever something is run.

use serde_json::Value;
use tapline_core::Error;
use tapline_core::config::{self, Project};
use tapline_core::server_state::Noun;
use tapline_core::yaml::{ConfigError, ConfigErrors, Key, Node, Span, Value as Tree};

use super::{Catalog, NOUNS, Reach, refuse_variables};
use crate::parts::Finding;
use crate::problem::{Fault, Problem, Result};

/// A project, and what is wrong in it.
pub struct Assembled {
    /// What could be read.
    pub project: Project,
    /// Everything that is wrong with keys and names, each at its [`place`].
    pub errors: ConfigErrors,
}

/// One definition to be put in the place of what is there.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// What it defines.
    pub noun: Noun,
    /// The name it has so far, where it is there already.
    pub before: Option<&'a str>,
    /// Its name.
    pub name: &'a str,
    /// Its settings with their secrets; `None` where it is to be gone.
    pub settings: Option<&'a Value>,
}

/// What places of a definition of the state begin with; a JSON pointer into its settings follows.
pub(super) fn place(noun: Noun, name: &str) -> String {
    format!("{}/{name}#", noun.plural())
}

impl Catalog {
    /// The project as it is. Drafts are no part of it.
    ///
    /// # Errors
    /// What the store says.
    pub async fn project(&self) -> Result<Project> {
        Ok(self.assemble(&[]).await?.project)
    }

    /// The project with some definitions put in.
    ///
    /// # Errors
    /// What the store says.
    pub async fn assemble(&self, candidates: &[Candidate<'_>]) -> Result<Assembled> {
        let mut errors = ConfigErrors::default();
        let mut sections: Vec<(Noun, Vec<(Key, Node)>)> = Vec::new();
        for noun in NOUNS {
            let mut entries: Vec<(Key, Node)> = Vec::new();
            let mut add = |name: &str, settings: &Value| {
                let place = place(noun, name);
                let mut node = Node::from_json(settings, &place);
                refuse_variables(&mut node, &mut errors);
                let span = Span { file: place.into(), line: 1, column: 1 };
                entries.push((Key { text: name.to_owned(), span }, node));
            };
            let ours: Vec<&Candidate<'_>> = candidates.iter().filter(|candidate| candidate.noun == noun).collect();
            for candidate in &ours {
                if let Some(settings) = candidate.settings {
                    add(candidate.name, settings);
                }
            }
            let replaced = |name: &str| ours.iter().any(|ours| ours.before == Some(name) || ours.name == name);
            for definition in self.store.definitions(noun).await? {
                if !definition.draft && !replaced(&definition.name) && !self.is_in_file(noun, &definition.name) {
                    add(&definition.name, &self.full(&definition));
                }
            }
            entries.extend(self.in_file(noun).iter().filter(|(key, _)| !replaced(&key.text)).cloned());
            sections.push((noun, entries));
        }
        let mut root = self.root.clone();
        for (noun, entries) in sections {
            root.remove(noun.plural());
            let span = root.span.clone();
            let key = Key { text: noun.plural().to_owned(), span: span.clone() };
            let section = Node { span: span.clone(), value: Tree::Mapping(entries) };
            if let Err(more) = root.merge(Node { span, value: Tree::Mapping(vec![(key, section)]) }, 0) {
                errors.0.extend(more.0);
            }
        }
        let (project, more) = config::assemble(&root, &self.file);
        errors.0.extend(more.0);
        Ok(Assembled { project, errors })
    }

    /// Looks for everything that is wrong with the first of some definitions, and with others because of it. `pointer`
    /// is where its settings stand in the request.
    ///
    /// # Errors
    /// The faults.
    pub async fn validate(&self, candidates: &[Candidate<'_>], pointer: &str, reach: Reach) -> Result<Assembled> {
        let Some(Candidate { noun, name, settings: Some(settings), before: old }) = candidates.first().copied() else {
            return self.assemble(candidates).await;
        };
        if self.guarded {
            crate::addresses::check(settings, pointer).await.map_err(|fault| Problem::invalid(vec![fault]))?;
        }
        let own = place(noun, name);
        let before = self.assemble(&[]).await?;
        let assembled = self.assemble(candidates).await?;
        let mut faults: Vec<Fault> = Vec::new();
        for error in &assembled.errors.0 {
            match error.file.strip_prefix(own.as_str()) {
                Some(rest) => faults.push(fault(error, format!("{pointer}{rest}"))),
                None if before.errors.0.contains(error) => {}
                None => {
                    let elsewhere = error.file.split('#').next().unwrap_or_default();
                    let message = format!("{elsewhere}: {}", error.message);
                    faults.push(fault(&ConfigError { message, ..error.clone() }, pointer.to_owned()));
                }
            }
        }
        if noun == Noun::Destination {
            let known = self.local_paths(&before.project, old.unwrap_or(name));
            faults.extend(self.out_of_reach(&assembled.project, name, &known, pointer, reach));
        }
        if faults.is_empty() {
            let sql = settings.get("sql").and_then(Value::as_str).unwrap_or_default();
            let findings = self.parts.findings(&assembled.project, noun, name);
            faults = findings.into_iter().map(|finding| of_finding(finding, &own, pointer, sql)).collect();
        }
        if faults.is_empty() { Ok(assembled) } else { Err(Problem::invalid(faults)) }
    }

    /// Looks whether a definition of the state names an address that must not be reached, as names resolve now.
    ///
    /// # Errors
    /// `API-007`.
    pub async fn guard(&self, noun: Noun, name: &str) -> Result<(), Error> {
        if !self.guarded || self.is_in_file(noun, name) {
            return Ok(());
        }
        let Some(definition) = self.store.definition(noun, name).await? else { return Ok(()) };
        crate::addresses::check(&self.full(&definition), "").await.map_err(|fault| {
            let message = format!("{} `{name}`: {}", noun.word(), fault.detail);
            let error = Error::new(tapline_core::codes::API_007, message);
            fault.hints.into_iter().fold(error, Error::hint)
        })
    }
}

pub(super) fn fault(error: &ConfigError, pointer: String) -> Fault {
    Fault { hints: error.hints.clone(), ..Fault::new(pointer, error.code, error.message.clone()) }
}

pub(super) fn of_finding(finding: Finding, own: &str, pointer: &str, sql: &str) -> Fault {
    let rest = finding.place.strip_prefix(own).unwrap_or_default();
    let mut fault =
        Fault { hints: finding.hints, ..Fault::new(format!("{pointer}{rest}"), finding.code, finding.message) };
    fault.place(sql, finding.excerpt.as_deref());
    fault
}
