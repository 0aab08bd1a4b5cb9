//! `tapline schema`: the JSON Schema of the project file, made from the config structs.
//! Not here: those structs, which stand in `tapline_core::config` and beside each connector.
//! Called by the dispatcher in `commands`.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use tapline_core::config::project_schema;
use tapline_core::{ErasedConnector, Error};
use tapline_storage::S3SourceConfig;

use crate::cli as arguments;
use crate::errors::Failure;
use crate::exit::Exit;
use crate::terminal;

/// Prints the schema, indented for reading and for Git.
pub fn run(arguments: &arguments::Schema) -> Result<Exit, Failure> {
    let schema = if arguments.openapi {
        serde_json::to_string_pretty(&tapline_server::openapi())
    } else {
        serde_json::to_string_pretty(&schema())
    };
    let schema = schema.map_err(|error| Error::internal("the schema could not be written as JSON").because(error))?;
    terminal::print_line(schema)?;
    Ok(Exit::Done)
}

fn schema() -> Schema {
    let mut generator = SchemaGenerator::default();
    let source = S3SourceConfig::json_schema(&mut generator);
    let connectors: Vec<Box<dyn ErasedConnector>> = tapline_destinations::connectors();
    let destinations: Vec<(&str, Schema)> =
        connectors.iter().map(|connector| (connector.name(), connector.schema(&mut generator))).collect();
    project_schema(&mut generator, &[("s3", source)], &destinations)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_knows_every_kind_and_refuses_unknown_keys() {
        let schema = schema().to_value();
        assert_eq!(schema["additionalProperties"], false);
        let kinds = schema["properties"]["destinations"]["additionalProperties"]["oneOf"].as_array().unwrap();
        let names: Vec<&str> = kinds.iter().map(|kind| kind["properties"]["type"]["const"].as_str().unwrap()).collect();
        let connectors = tapline_destinations::connectors();
        assert_eq!(names, connectors.iter().map(|connector| connector.name()).collect::<Vec<_>>());
        for kind in kinds {
            assert_eq!(kind["additionalProperties"], false, "{}", kind["properties"]["type"]);
        }
    }
}
