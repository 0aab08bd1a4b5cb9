//! All definitions there are, from the project file and from the state, and the project that they make together.
//! Not here: routes (`routes`), what settings mean (each config struct), the store.
//! Called by the routes of the four nouns, by the scheduler, and by `export` and `apply`.

mod edit;
mod entry;
mod project;
mod reach;
mod transfer;
mod yaml;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use schemars::{JsonSchema, SchemaGenerator};
use serde_json::Value;
use tapline_core::server_state::{Definition, ServerStore};
use tapline_core::yaml::{ConfigErrors, Node, Variables};
use tapline_storage::S3SourceConfig;

pub use edit::Edit;
pub use entry::{Entry, Origin};
pub use project::{Assembled, Candidate};
pub use reach::{Reach, is_of_state};
pub use tapline_core::server_state::Noun;
pub use transfer::{Applied, Apply};

use crate::masking::{Shape, pointer_to};
use crate::parts::Parts;
use crate::problem::{Problem, Result};

/// The nouns that make up a project, in the order of the project file.
pub const NOUNS: [Noun; 4] = [Noun::Source, Noun::Model, Noun::Destination, Noun::Sync];

/// The definitions.
pub struct Catalog {
    store: Arc<dyn ServerStore>,
    /// Puts projects together.
    pub parts: Arc<dyn Parts>,
    /// The project file; its folder is where relative paths begin, whether or not the file is there.
    file: PathBuf,
    root: Node,
    shapes: BTreeMap<(Noun, String), Shape>,
    guarded: bool,
}

impl Catalog {
    /// Over a store and, where there is one, a project file with its variables filled in. `guarded` says that settings
    /// from the API may not reach link-local addresses.
    pub fn new(
        store: Arc<dyn ServerStore>,
        parts: Arc<dyn Parts>,
        file: PathBuf,
        root: Option<Node>,
        guarded: bool,
    ) -> Self {
        let mut shapes = BTreeMap::new();
        let source = whole(S3SourceConfig::json_schema);
        shapes.insert((Noun::Source, "s3".to_owned()), source);
        for connector in parts.connectors() {
            let shape = whole(|generator| connector.schema(generator));
            shapes.insert((Noun::Destination, connector.name().to_owned()), shape);
        }
        let root = root.unwrap_or_else(|| Node::from_json(&serde_json::json!({ "version": 1 }), "tapline.yaml"));
        Self { store, parts, file, root, shapes, guarded }
    }

    /// The store of the definitions that can be changed.
    pub fn store(&self) -> &Arc<dyn ServerStore> {
        &self.store
    }

    /// Where secrets stand in settings; nowhere for kinds without any, and for kinds that do not exist.
    fn shape(&self, noun: Noun, settings: &Value) -> Option<&Shape> {
        let kind = settings.get("type").and_then(Value::as_str)?;
        self.shapes.get(&(noun, kind.to_owned()))
    }

    /// Settings as they may be shown.
    pub fn masked(&self, noun: Noun, settings: &Value) -> Value {
        self.shape(noun, settings).map_or_else(|| settings.clone(), |shape| shape.mask(settings))
    }

    /// The settings of a definition of the state, with its secrets: for the server's own use.
    pub(crate) fn full(&self, definition: &Definition) -> Value {
        let mut settings = definition.settings.clone();
        for (pointer, secret) in &definition.secrets {
            if let Some(place) = settings.pointer_mut(pointer) {
                *place = Value::String(secret.expose().to_owned());
            }
        }
        settings
    }

    /// Settings apart from their secrets.
    pub(crate) fn split(&self, noun: Noun, settings: &Value) -> (Value, tapline_core::server_state::Secrets) {
        let mut secrets = tapline_core::server_state::Secrets::new();
        let Some(shape) = self.shape(noun, settings) else { return (settings.clone(), secrets) };
        let bare = shape.replace(settings, &mut |path, value| {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            secrets.insert(pointer_to(path), text.into());
            Value::Null
        });
        (bare, secrets)
    }

    /// The definitions of a noun in the project file.
    fn in_file(&self, noun: Noun) -> &[(tapline_core::yaml::Key, Node)] {
        self.root.get(noun.plural()).map(Node::entries).unwrap_or_default()
    }

    /// Whether the project file defines this name.
    pub fn is_in_file(&self, noun: Noun, name: &str) -> bool {
        self.in_file(noun).iter().any(|(key, _)| key.text == name)
    }

    /// All definitions of a noun, by name; where the project file and the state define the same name, the file's.
    ///
    /// # Errors
    /// What the store says.
    pub async fn entries(&self, noun: Noun) -> Result<Vec<Entry>> {
        let mut entries: Vec<Entry> =
            self.in_file(noun).iter().map(|(key, node)| Entry::of_file(self, noun, &key.text, node)).collect();
        for definition in self.store.definitions(noun).await? {
            if !self.is_in_file(noun, &definition.name) {
                entries.push(Entry::of_state(self, &definition));
            }
        }
        entries.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(entries)
    }

    /// One definition.
    ///
    /// # Errors
    /// That there is none.
    pub async fn entry(&self, noun: Noun, name: &str) -> Result<Entry> {
        if let Some((key, node)) = self.in_file(noun).iter().find(|(key, _)| key.text == name) {
            return Ok(Entry::of_file(self, noun, &key.text, node));
        }
        let definition = self.store.definition(noun, name).await?;
        let definition = definition.ok_or_else(|| Problem::not_found(noun.word(), name))?;
        Ok(Entry::of_state(self, &definition))
    }
}

/// A schema with everything that it refers to.
fn whole(schema: impl FnOnce(&mut SchemaGenerator) -> schemars::Schema) -> Shape {
    let mut generator = SchemaGenerator::default();
    let mut schema = schema(&mut generator);
    schema.insert("$defs".to_owned(), Value::Object(generator.take_definitions(true)));
    Shape::new(schema)
}

/// Treats the variables of a tree that came in through the API: they are refused.
fn refuse_variables(node: &mut Node, errors: &mut ConfigErrors) {
    if let Err(more) = node.expand(Variables::Refuse) {
        errors.0.extend(more.0);
    }
}
