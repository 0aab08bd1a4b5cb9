//! Parts of a file's path.
//! Not here: opening files, which no function does.
//! Called by `text`.

use datafusion::common::{Result, exec_err};

use crate::sql::functions::toolkit::typed::kernel;
use crate::sql::functions::toolkit::types::*;
use crate::sql::functions::toolkit::{Function, typed};

pub(super) fn functions() -> Vec<Function> {
    vec![
        typed(
            &["parse_path"],
            "the folders and the file of a path",
            [
                kernel!(|path: Text| -> ListOf<Text> => parts(path, "both_slash")),
                kernel!(|path: Text, separator: Text| -> ListOf<Text> => parts(path, separator)),
            ],
        ),
        typed(
            &["parse_dirname"],
            "the first folder of a path",
            [
                kernel!(|path: Text| -> Text => first_folder(path, "both_slash")),
                kernel!(|path: Text, separator: Text| -> Text => first_folder(path, separator)),
            ],
        ),
        typed(
            &["parse_dirpath"],
            "the path without its file",
            [
                kernel!(|path: Text| -> Text => folder(path, "both_slash")),
                kernel!(|path: Text, separator: Text| -> Text => folder(path, separator)),
            ],
        ),
        typed(
            &["parse_filename"],
            "the file of a path, with or without its ending",
            [
                kernel!(|path: Text| -> Text => file(path, false, "both_slash")),
                kernel!(|path: Text, trim: Truth| -> Text => file(path, trim, "both_slash")),
                kernel!(|path: Text, separator: Text| -> Text => file_or_flag(path, separator)),
                kernel!(|path: Text, trim: Truth, separator: Text| -> Text => file(path, trim, separator)),
            ],
        ),
    ]
}

/// The characters that separate folders.
fn separators(name: &str) -> Result<&'static [char]> {
    Ok(match name {
        "both_slash" => &['/', '\\'],
        "forward_slash" | "system" => &['/'],
        "backslash" => &['\\'],
        _ => return exec_err!("the separator is one of system, both_slash, forward_slash, backslash"),
    })
}

fn parts(path: &str, separator: &str) -> Result<Vec<Option<String>>> {
    let separators = separators(separator)?;
    let root = path.chars().next().filter(|first| separators.contains(first)).map(|first| first.to_string());
    let rest = path.split(|c| separators.contains(&c)).filter(|part| !part.is_empty()).map(str::to_owned);
    Ok(root.into_iter().chain(rest).map(Some).collect())
}

fn first_folder(path: &str, separator: &str) -> Result<String> {
    let separators = separators(separator)?;
    Ok(match path.find(separators) {
        Some(0) => path[..1].to_owned(),
        Some(end) => path[..end].to_owned(),
        None => String::new(),
    })
}

fn folder(path: &str, separator: &str) -> Result<String> {
    let separators = separators(separator)?;
    Ok(match path.rfind(separators) {
        Some(0) => path[..1].to_owned(),
        Some(end) => path[..end].to_owned(),
        None => String::new(),
    })
}

fn file(path: &str, trim: bool, separator: &str) -> Result<String> {
    let name = path.rsplit(separators(separator)?).next().unwrap_or(path);
    let end = if trim { name.rfind('.').unwrap_or(name.len()) } else { name.len() };
    Ok(name[..end].to_owned())
}

/// The second argument alone may be a separator, or a text that is true or false.
fn file_or_flag(path: &str, text: &str) -> Result<String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "t" | "1" => file(path, true, "both_slash"),
        "false" | "f" | "0" => file(path, false, "both_slash"),
        _ => file(path, false, text),
    }
}
