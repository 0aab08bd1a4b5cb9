//! What definitions of the state may name of the machine that the server runs on, and where they may take kept secrets.
//! Not here: hosts that nobody may reach (`addresses`), and definitions of the project file, whose author may read the
//! machine's files anyway.
//! Called before a definition is saved or tried.

use std::path::{Component, Path, PathBuf};

use serde_json::Value;
use tapline_core::codes;
use tapline_core::config::Project;
use tapline_core::server_state::{Definition, Noun};
use tapline_core::yaml::Span;

use super::{Catalog, NOUNS};
use crate::addresses;
use crate::masking::is_mask;
use crate::problem::Fault;

/// Where the files lie that settings may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// In the project's folder, besides what the settings named before: who is no admin asks.
    Folder,
    /// Anywhere but among Tapline's own.
    Machine,
}

/// Whether a definition at this place is one of the state, made through the API.
pub fn is_of_state(span: &Span) -> bool {
    let name = span.file.split_once('#').map(|(name, _)| name);
    let noun = name.and_then(|name| name.split_once('/')).map(|(noun, _)| noun);
    noun.is_some_and(|noun| NOUNS.iter().any(|known| known.plural() == noun))
}

impl Catalog {
    /// The first file that a destination names although it may not. It may go on naming those that are `known`.
    pub(super) fn out_of_reach(
        &self,
        project: &Project,
        name: &str,
        known: &[PathBuf],
        pointer: &str,
        reach: Reach,
    ) -> Option<Fault> {
        let own: Vec<PathBuf> = own_paths(project).iter().map(|path| resolved(path)).collect();
        let folder = resolved(&project.folder);
        self.local_paths(project, name).into_iter().find_map(|path| {
            let place = resolved(&path);
            if own.iter().any(|own| place.starts_with(own)) {
                return Some(Fault::new(pointer, codes::API_008, "the state of Tapline itself is no destination"));
            }
            let admitted = reach == Reach::Machine || known.contains(&path) || place.starts_with(&folder);
            (!admitted).then(|| {
                Fault::new(pointer, codes::API_008, "a file outside the project's folder is named by an admin alone")
                    .hint("name one below the folder of the project file, or ask an admin")
            })
        })
    }

    /// The files of the machine that a destination names.
    pub(super) fn local_paths(&self, project: &Project, name: &str) -> Vec<PathBuf> {
        let Some(entry) = project.destinations.get(name) else { return Vec::new() };
        let connector = self.parts.connectors().iter().find(|connector| connector.name() == entry.kind);
        let paths = connector.and_then(|connector| connector.local_paths(&entry.node).ok()).unwrap_or_default();
        paths.into_iter().map(|path| project.folder.join(path)).collect()
    }

    /// The place of a secret that an edit keeps although it would be sent to another server than it was given for: whoever
    /// may edit could have it sent to themselves.
    pub(super) fn carried_off(&self, before: &Definition, sent: &Value, settings: &Value) -> Option<String> {
        if before.noun != Noun::Destination || addresses::servers(settings) == addresses::servers(&self.full(before)) {
            return None;
        }
        let kept = |pointer: &&String| {
            sent.pointer(pointer).is_none_or(is_mask)
                && settings.pointer(pointer).is_some_and(|secret| !secret.is_null())
        };
        before.secrets.keys().find(kept).cloned()
    }
}

/// Where Tapline keeps what is its own.
fn own_paths(project: &Project) -> Vec<PathBuf> {
    let mut own = vec![project.folder.join(".tapline"), project.folder.join(&project.state.snapshots)];
    if let Some(path) = project.state.url.strip_prefix("sqlite:") {
        let file = project.folder.join(path.strip_prefix("//").unwrap_or(path));
        own.extend(["state.key", "locks", "rejects"].map(|name| file.with_file_name(name)));
        own.push(file);
    }
    own
}

/// A path without links and steps back, as far as it exists.
fn resolved(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).components() {
        match part {
            Component::ParentDir => _ = plain.pop(),
            part => plain.push(part),
        }
        if let Ok(real) = plain.canonicalize() {
            plain = real;
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_and_steps_back_are_followed() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        std::fs::create_dir(root.join("inner")).unwrap();
        std::os::unix::fs::symlink("/", root.join("inner/link")).unwrap();
        for (path, expected) in [
            ("inner/../out.db", root.join("out.db")),
            ("inner/link/etc", PathBuf::from("/etc")),
            ("nothing/../../x", root.parent().unwrap().join("x")),
            ("/a/./b", PathBuf::from("/a/b")),
        ] {
            assert_eq!(resolved(&root.join(path)), expected, "{path}");
        }
    }
}
