//! Paths into JSON documents: `$.a[0]`, `/a/0`, or the name of one member.
//! Not here: functions.
//! Called by `extract` and `inspect`.

use datafusion::common::{Result, exec_datafusion_err};

use super::document::Document;

#[derive(Debug, Clone, PartialEq)]
enum Step {
    Member(String),
    /// From 0, or from the end for negative numbers.
    Item(i64),
    AllMembers,
    AllItems,
    /// Every member of the name, at any depth.
    Anywhere(String),
}

/// A path.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Path {
    steps: Vec<Step>,
}

impl Path {
    /// Reads a path.
    pub(super) fn parse(text: &str) -> Result<Self> {
        if let Some(path) = text.strip_prefix('$') {
            return Ok(Self { steps: steps(path)? });
        }
        if let Some(pointer) = text.strip_prefix('/') {
            let step = |part: &str| {
                let part = part.replace("~1", "/").replace("~0", "~");
                part.parse().map_or(Step::Member(part), Step::Item)
            };
            return Ok(Self { steps: pointer.split('/').map(step).collect() });
        }
        Ok(Self { steps: if text.is_empty() { Vec::new() } else { vec![Step::Member(text.to_owned())] } })
    }

    /// A path to one item of an array.
    pub(super) fn item(index: i64) -> Self {
        Self { steps: vec![Step::Item(index)] }
    }

    /// Whether the path leads to any number of values.
    pub(super) fn is_wild(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, Step::AllMembers | Step::AllItems | Step::Anywhere(_)))
    }

    /// What the path leads to.
    pub(super) fn find<'a>(&self, document: &'a Document) -> Vec<&'a Document> {
        let mut found = vec![document];
        for step in &self.steps {
            found = found.into_iter().flat_map(|document| step.find(document)).collect();
        }
        found
    }
}

impl Step {
    fn find<'a>(&self, document: &'a Document) -> Vec<&'a Document> {
        match (self, document) {
            (Self::Member(name), _) => document.member(name).into_iter().collect(),
            (Self::Item(index), Document::Array(items)) => {
                let index = if *index < 0 { items.len() as i64 + index } else { *index };
                usize::try_from(index).ok().and_then(|index| items.get(index)).into_iter().collect()
            }
            (Self::Item(index), Document::Object(_)) => document.member(&index.to_string()).into_iter().collect(),
            (Self::AllMembers, Document::Object(members)) => members.iter().map(|(_, value)| value).collect(),
            (Self::AllItems, Document::Array(items)) => items.iter().collect(),
            (Self::Anywhere(name), _) => {
                let mut found = Vec::new();
                anywhere(document, name, &mut found);
                found
            }
            _ => Vec::new(),
        }
    }
}

fn anywhere<'a>(document: &'a Document, name: &str, found: &mut Vec<&'a Document>) {
    match document {
        Document::Object(members) => {
            for (known, value) in members {
                if known == name || name == "*" {
                    found.push(value);
                }
                anywhere(value, name, found);
            }
        }
        Document::Array(items) => items.iter().for_each(|item| anywhere(item, name, found)),
        _ => {}
    }
}

fn steps(path: &str) -> Result<Vec<Step>> {
    let malformed = || exec_datafusion_err!("a path into JSON is malformed; paths look like $.name[0]");
    let mut steps = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        if let Some(inside) = rest.strip_prefix('[') {
            let (index, after) = inside.split_once(']').ok_or_else(malformed)?;
            rest = after;
            steps.push(match index.trim() {
                "*" => Step::AllItems,
                index => match index.strip_prefix('#') {
                    Some(back) => Step::Item(back.parse().map_err(|_| malformed())?),
                    None => Step::Item(index.parse().map_err(|_| malformed())?),
                },
            });
            continue;
        }
        let Some(after) = rest.strip_prefix('.') else { return Err(malformed()) };
        let (anywhere, after) = match after.strip_prefix('.') {
            Some(after) => (true, after),
            None => (false, after),
        };
        let name;
        if let Some(inside) = after.strip_prefix('"') {
            let (quoted, after) = inside.split_once('"').ok_or_else(malformed)?;
            name = quoted;
            rest = after;
        } else {
            let end = after.find(['.', '[']).unwrap_or(after.len());
            name = &after[..end];
            rest = &after[end..];
            if name.is_empty() {
                return Err(malformed());
            }
        }
        steps.push(match (anywhere, name) {
            (true, name) => Step::Anywhere(name.to_owned()),
            (false, "*") => Step::AllMembers,
            (false, name) => Step::Member(name.to_owned()),
        });
    }
    Ok(steps)
}
