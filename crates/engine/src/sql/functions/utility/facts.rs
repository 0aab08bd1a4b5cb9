//! What a session says of itself: it has one catalog and one user.
//! Not here: settings, which are refused.
//! Called by `utility`.

use crate::sql::functions::toolkit::typed::kernel;
use crate::sql::functions::toolkit::types::*;
use crate::sql::functions::toolkit::{Function, typed};

pub(super) fn functions() -> Vec<Function> {
    vec![
        typed(
            &["current_database", "current_catalog"],
            "the name of the only catalog",
            [kernel!(|| -> Text => "memory".to_owned())],
        ),
        typed(&["current_schema"], "the name of the only schema", [kernel!(|| -> Text => "main".to_owned())]),
        typed(
            &["current_schemas"],
            "the names of the schemas",
            [kernel!(|_implicit: Truth| -> ListOf<Text> => vec![Some("main".to_owned())])],
        ),
        typed(
            &["current_user", "user", "session_user", "current_role"],
            "the name of the only user",
            [kernel!(|| -> Text => "duckdb".to_owned())],
        ),
    ]
}
