//! Distinct names for columns, by DuckDB's rule.
//! Not here: quoting.
//! Called by every printer whose readers find columns by name.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};

/// The same columns with a name each: of those that differ in nothing or in case alone, all but the first get the
/// lowest number that is free, `name_1`, `name_2`.
pub fn distinct(schema: &SchemaRef) -> SchemaRef {
    let mut uses: HashMap<String, usize> = HashMap::new();
    let mut renamed = false;
    let mut fields = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        let folded = field.name().to_lowercase();
        let Some(mut number) = uses.get(&folded).copied() else {
            uses.insert(folded, 1);
            fields.push(Arc::clone(field));
            continue;
        };
        let mut name = format!("{}_{number}", field.name());
        while uses.contains_key(&name.to_lowercase()) {
            number += 1;
            name = format!("{}_{number}", field.name());
        }
        uses.insert(folded, number + 1);
        uses.insert(name.to_lowercase(), 1);
        fields.push(Arc::new(field.as_ref().clone().with_name(name)));
        renamed = true;
    }
    if renamed { Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone())) } else { Arc::clone(schema) }
}
