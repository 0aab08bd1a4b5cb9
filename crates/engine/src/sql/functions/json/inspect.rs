//! Facts about JSON documents, and documents made of others.
//! Not here: parts at a path (`extract`).
//! Called by `json`.

use datafusion::common::Result;

use super::document::Document;
use super::structure::Structure;
use crate::sql::functions::toolkit::typed::kernel;
use crate::sql::functions::toolkit::types::*;
use crate::sql::functions::toolkit::{Function, typed};

pub(super) fn functions() -> Vec<Function> {
    vec![
        typed(
            &["json_valid"],
            "whether the text is JSON",
            [kernel!(|text: Text| -> Truth => Document::parse(text).is_ok())],
        ),
        typed(
            &["json"],
            "the JSON without the spaces between its parts",
            [kernel!(|text: Text| -> Json => Document::parse(text).map(|document| document.to_string()))],
        ),
        typed(
            &["json_pretty"],
            "the JSON with its parts in lines of their own",
            [kernel!(|text: Text| -> Text => Document::parse(text).map(|document| document.pretty()))],
        ),
        typed(
            &["json_structure"],
            "the names and types of the document's parts",
            [
                kernel!(|text: Text| -> Json => Document::parse(text).map(|document| Structure::of(&document).to_string())),
            ],
        ),
        typed(
            &["json_contains"],
            "whether the document holds another",
            [kernel!(|text: Text, part: Text| -> Truth => holds(text, part))],
        ),
        typed(
            &["json_merge_patch"],
            "the document with the members of another; null takes members away",
            [kernel!(|text: Text, patch: Text| -> Json => merged(text, patch))],
        ),
    ]
}

fn holds(text: &str, part: &str) -> Result<bool> {
    let (whole, part) = (Document::parse(text)?, Document::parse(part)?);
    Ok(anywhere(&whole, &part))
}

/// Whether a part fits the document, or any value in it.
fn anywhere(whole: &Document, part: &Document) -> bool {
    fits(whole, part)
        || match whole {
            Document::Array(items) => items.iter().any(|item| anywhere(item, part)),
            Document::Object(members) => members.iter().any(|(_, value)| anywhere(value, part)),
            _ => false,
        }
}

fn fits(whole: &Document, part: &Document) -> bool {
    match (whole, part) {
        (Document::Array(items), Document::Array(parts)) => {
            parts.iter().all(|part| items.iter().any(|item| fits(item, part)))
        }
        (Document::Object(_), Document::Object(parts)) => {
            parts.iter().all(|(name, part)| whole.member(name).is_some_and(|value| fits(value, part)))
        }
        (whole, part) => whole == part,
    }
}

fn merged(text: &str, patch: &str) -> Result<String> {
    Ok(merge(Document::parse(text)?, Document::parse(patch)?).to_string())
}

/// <https://www.rfc-editor.org/rfc/rfc7396>
fn merge(whole: Document, patch: Document) -> Document {
    let Document::Object(changes) = patch else { return patch };
    let mut members = match whole {
        Document::Object(members) => members,
        _ => Vec::new(),
    };
    for (name, change) in changes {
        let place = members.iter().position(|(known, _)| *known == name);
        match (place, change) {
            (Some(place), Document::Null) => {
                members.remove(place);
            }
            (None, Document::Null) => {}
            (Some(place), change) => {
                let known = std::mem::replace(&mut members[place].1, Document::Null);
                members[place].1 = merge(known, change);
            }
            (None, change) => members.push((name, merge(Document::Null, change))),
        }
    }
    Document::Object(members)
}
