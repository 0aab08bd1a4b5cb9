//! `tapline explain CODE`: the page of an error code.
//! Not here: the pages, which are `docs/errors/*.md`.
//! Called by the dispatcher in `commands`.

use serde_json::json;
use tapline_core::{Class, Error, codes};

use crate::cli::Explain;
use crate::errors::{Failure, nearest, usage};
use crate::exit::Exit;
use crate::terminal;

/// Prints the page of a code.
pub fn run(arguments: &Explain) -> Result<Exit, Failure> {
    let Some(code) = codes::find(arguments.code.trim()) else {
        return Err(unknown(&arguments.code).into());
    };
    if !arguments.report.is_json() {
        terminal::print(code.page)?;
        return Ok(Exit::Done);
    }
    let class = match code.class {
        Class::Usage => "usage",
        Class::Failure => "failure",
        Class::Guard => "guard",
        Class::Cancelled => "cancelled",
    };
    let title = title(code.id);
    terminal::print_json(&json!({ "code": code.id, "title": title, "class": class, "page": code.page }))?;
    Ok(Exit::Done)
}

fn title(id: &str) -> &'static str {
    let position = codes::ALL.iter().position(|code| code.id == id);
    position.map_or("", |index| codes::TITLES[index])
}

/// Points at the codes of the same family, else at those that are spelt alike, else at the families.
fn unknown(code: &str) -> Error {
    let error = usage(format!("there is no error code `{}`", code.escape_debug()));
    let ids = || codes::ALL.iter().map(|code| code.id);
    let mut near: Vec<&str> = ids().filter(|id| family(id).eq_ignore_ascii_case(family(code))).collect();
    if near.is_empty() {
        near = nearest(code, ids()).collect();
    }
    if near.is_empty() {
        let mut families: Vec<&str> = ids().map(family).collect();
        families.dedup();
        return error.hint(format!("codes begin with {}; such as {}", families.join(", "), codes::S3_004.id));
    }
    near.into_iter().fold(error, |error, id| error.hint(format!("{id}: {}", title(id))))
}

/// `S3` of `S3-004`.
fn family(id: &str) -> &str {
    id.split('-').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_page_under_its_own_title() {
        for code in codes::ALL {
            let first = code.page.lines().next().unwrap_or_default();
            assert_eq!(first, format!("# {}: {}", code.id, title(code.id)));
            assert!(code.page.lines().count() > 2, "{} has no text", code.id);
        }
    }

    #[test]
    fn an_unknown_code_leads_to_its_family() {
        let error = unknown("key-009");
        assert!(error.hints().iter().all(|hint| hint.starts_with("KEY-")), "{:?}", error.hints());
        assert_eq!(error.hints().len(), 4);
        assert_eq!(unknown("DST-001").hints()[0], "DEST-001: the destination cannot be reached");
        let error = unknown("nonsense");
        let families = &error.hints()[0];
        assert!(families.starts_with("codes begin with ") && families.contains("CONF, S3, "), "{families}");
    }
}
