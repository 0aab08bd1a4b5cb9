//! Tables as they stand at the server, and tables that are made.
//! Not here: whether an existing column can take a field (see `fit`).
//! Called when a run opens its writer, and again, under the marker's lock, when it publishes.

use tapline_core::{Error, FieldInfo, Result, StreamInfo, StreamName, codes};
use tokio_postgres::Client;

use super::{fault, sql};

/// PostgreSQL cuts longer names silently.
const LONGEST_NAME: usize = 63;

/// Prefix of everything that Tapline makes for itself.
pub(super) const OWN_PREFIX: &str = "_tapline_";

/// The physical identity of the table `c` of `pg_class`: for a partitioned table, that of its leaves.
pub(super) const IDENTITY: &str = "\
    c.oid::text || ':' || coalesce(nullif(pg_relation_filenode(c.oid), 0)::text, \
    (SELECT md5(string_agg(relid::oid || '/' || coalesce(pg_relation_filenode(relid), 0), ',' ORDER BY relid::oid)) \
     FROM pg_partition_tree(c.oid) WHERE isleaf), '0')";

/// A stream, with its schema found out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) schema: String,
    pub(super) table: String,
}

impl Place {
    /// Finds the schema of a stream: its own, else the session's current one.
    pub(super) async fn of(client: &Client, stream: &StreamName) -> Result<Self> {
        let refused = |problem: &str| Error::new(codes::DEST_004, format!("stream {stream}: {problem}"));
        if let Some(part) = stream.parts().iter().find(|part| part.len() > LONGEST_NAME) {
            return Err(refused(&format!("{part:?} is longer than PostgreSQL's {LONGEST_NAME} bytes for a name")));
        }
        let schema = match stream.parts() {
            [_] => client
                .query_one("SELECT current_schema()::text", &[])
                .await
                .map_err(|error| fault::statement("asking for the current schema", error))?
                .get::<_, Option<String>>(0)
                .ok_or_else(|| refused("the role has no current schema").hint("write schema.table"))?,
            [schema, _] => schema.clone(),
            _ => return Err(refused("a PostgreSQL stream has at most two parts").hint("write schema.table")),
        };
        Ok(Self { schema, table: stream.table().to_owned() })
    }

    /// The quoted name.
    pub(super) fn quoted(&self) -> String {
        format!("{}.{}", sql::name(&self.schema), sql::name(&self.table))
    }
}

/// An existing table.
#[derive(Debug, Clone)]
pub(super) struct Table {
    pub(super) oid: u32,
    pub(super) columns: Vec<Column>,
    /// Whether row-level security applies to the role.
    pub(super) policies: bool,
    /// Whether the role may change the table itself.
    pub(super) owned: bool,
    /// Foreign keys that point here.
    pub(super) references: Vec<Reference>,
}

/// A column of an existing table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: String,
    /// The type in full, as in `CREATE TABLE`.
    pub(super) type_name: String,
    /// The name in `pg_type`, of the type below where it is a domain.
    pub(super) base: String,
    /// Whether the base type is PostgreSQL's own.
    pub(super) built_in: bool,
    /// Length, precision or scale of the base type, in the type's own coding; -1 where there is none.
    pub(super) modifier: i32,
    pub(super) domain: bool,
    pub(super) not_null: bool,
    pub(super) has_default: bool,
    /// `GENERATED ALWAYS AS IDENTITY`.
    pub(super) always_identity: bool,
    /// `GENERATED ALWAYS AS (…)`.
    pub(super) generated: bool,
    /// Whether values that are equal are the same: no under collations that fold.
    pub(super) deterministic: bool,
    /// The quoted collation, where it is not the one of the type.
    pub(super) collation: Option<String>,
}

/// A foreign key of another table, or of the table itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reference {
    pub(super) constraint: String,
    pub(super) table: String,
    /// Whether the deletion of a row here changes rows there.
    pub(super) cascades: bool,
    /// Whether the table points at itself.
    pub(super) own: bool,
}

impl Table {
    /// Reads a table; `None` where there is none. Fails on views and other things that are no table.
    pub(super) async fn find(client: &Client, place: &Place) -> Result<Option<Self>> {
        let failed = |error| fault::statement(&format!("inspecting table {}", place.quoted()), error);
        let found = client
            .query_opt(
                "SELECT c.oid, c.relkind::text, row_security_active(c.oid), pg_has_role(c.relowner, 'USAGE') \
                 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2",
                &[&place.schema, &place.table],
            )
            .await
            .map_err(failed)?;
        let Some(found) = found else {
            return Ok(None);
        };
        let (oid, kind, policies): (u32, String, bool) = (found.get(0), found.get(1), found.get(2));
        let is = match kind.as_str() {
            "r" | "p" => None,
            "v" => Some("a view"),
            "m" => Some("a materialized view"),
            "f" => Some("a foreign table"),
            "S" => Some("a sequence"),
            "i" | "I" => Some("an index"),
            _ => Some("no table"),
        };
        if let Some(is) = is {
            return Err(Error::new(codes::DEST_004, format!("{} is {is}; rows go to tables only", place.quoted()))
                .hint("name a table as the stream"));
        }
        let columns = columns(client, oid).await.map_err(failed)?;
        let references = references(client, oid).await.map_err(failed)?;
        Ok(Some(Self { oid, columns, policies, owned: found.get(3), references }))
    }

    pub(super) fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// Whether a unique index covers exactly `key`: neither partial nor deferrable nor over expressions.
    pub(super) async fn is_unique_on(&self, client: &Client, key: &[String]) -> Result<bool> {
        let mut key: Vec<&str> = key.iter().map(String::as_str).collect();
        key.sort_unstable();
        let row = client
            .query_one(
                "SELECT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = $1 AND i.indisunique AND i.indisvalid \
                   AND i.indimmediate AND i.indpred IS NULL AND i.indexprs IS NULL \
                   AND (SELECT array_agg(a.attname::text ORDER BY a.attname::text COLLATE \"C\") \
                        FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k (number, place) \
                        JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number \
                        WHERE k.place <= i.indnkeyatts) = $2::text[])",
                &[&self.oid, &key],
            )
            .await
            .map_err(|error| fault::statement("looking for a unique index", error))?;
        Ok(row.get(0))
    }

    /// The rights that the role lacks on the table.
    pub(super) async fn missing_rights(&self, client: &Client) -> Result<Vec<String>> {
        client
            .query(
                "SELECT r.name FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) WITH ORDINALITY \
                 AS r (name, place) WHERE NOT has_table_privilege($1::oid, r.name) ORDER BY r.place",
                &[&self.oid],
            )
            .await
            .map(|rows| rows.iter().map(|row| row.get(0)).collect())
            .map_err(|error| fault::statement("looking at the rights on the table", error))
    }
}

async fn columns(client: &Client, oid: u32) -> Result<Vec<Column>, tokio_postgres::Error> {
    let rows = client
        .query(
            "SELECT a.attname::text, format_type(a.atttypid, a.atttypmod), b.typname::text, \
               b.typnamespace = 'pg_catalog'::regnamespace, base.modifier, t.typtype = 'd', \
               a.attnotnull OR t.typnotnull, a.atthasdef OR t.typdefault IS NOT NULL OR a.attidentity <> '', \
               a.attidentity = 'a', a.attgenerated <> '', coalesce(l.collisdeterministic, true), \
               CASE WHEN a.attcollation <> t.typcollation THEN (SELECT quote_ident(s.nspname) || '.' || \
                 quote_ident(l.collname) FROM pg_namespace s WHERE s.oid = l.collnamespace) END \
             FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid \
             CROSS JOIN LATERAL ( \
               WITH RECURSIVE chain (type, modifier, depth) AS ( \
                 SELECT a.atttypid, a.atttypmod, 0 UNION ALL \
                 SELECT d.typbasetype, CASE WHEN d.typtypmod >= 0 THEN d.typtypmod ELSE chain.modifier END, depth + 1 \
                 FROM chain JOIN pg_type d ON d.oid = chain.type AND d.typtype = 'd') \
               SELECT type, modifier FROM chain ORDER BY depth DESC LIMIT 1) base \
             JOIN pg_type b ON b.oid = base.type \
             LEFT JOIN pg_collation l ON l.oid = a.attcollation \
             WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
            &[&oid],
        )
        .await?;
    let read = |row: &tokio_postgres::Row| Column {
        name: row.get(0),
        type_name: row.get(1),
        base: row.get(2),
        built_in: row.get(3),
        modifier: row.get(4),
        domain: row.get(5),
        not_null: row.get(6),
        has_default: row.get(7),
        always_identity: row.get(8),
        generated: row.get(9),
        deterministic: row.get(10),
        collation: row.get(11),
    };
    Ok(rows.iter().map(read).collect())
}

async fn references(client: &Client, oid: u32) -> Result<Vec<Reference>, tokio_postgres::Error> {
    let rows = client
        .query(
            "SELECT conname::text, conrelid::regclass::text, confdeltype NOT IN ('a', 'r'), conrelid = confrelid \
             FROM pg_constraint WHERE confrelid = $1 AND contype = 'f' AND conparentid = 0 ORDER BY conname",
            &[&oid],
        )
        .await?;
    let read = |row: &tokio_postgres::Row| Reference {
        constraint: row.get(0),
        table: row.get(1),
        cascades: row.get(2),
        own: row.get(3),
    };
    Ok(rows.iter().map(read).collect())
}

/// What of `schema` is missing for a role that wants to make tables in it; `None` where nothing is.
pub(super) async fn missing_in_schema(client: &Client, user: &str, schema: &str) -> Result<Option<Error>> {
    let found = client
        .query_opt(
            "SELECT has_schema_privilege(oid, 'USAGE') AND has_schema_privilege(oid, 'CREATE') \
             FROM pg_namespace WHERE nspname = $1",
            &[&schema],
        )
        .await
        .map_err(|error| fault::statement("looking at the rights on the schema", error))?;
    let quoted = sql::name(schema);
    Ok(match found.map(|row| row.get::<_, bool>(0)) {
        Some(true) => None,
        Some(false) => Some(
            Error::new(codes::DEST_003, format!("role {user:?} may not create tables in schema {schema:?}"))
                .hint(format!("GRANT USAGE, CREATE ON SCHEMA {quoted} TO {};", sql::name(user))),
        ),
        None => Some(
            Error::new(codes::DEST_004, format!("schema {schema:?} does not exist"))
                .hint(format!("CREATE SCHEMA {quoted};")),
        ),
    })
}

/// The columns of a new table: names and types, quoted.
pub(super) fn definitions<'a>(columns: impl IntoIterator<Item = (&'a str, String)>) -> String {
    columns
        .into_iter()
        .map(|(name, data_type)| format!("{} {data_type}", sql::name(name)))
        .collect::<Vec<_>>()
        .join(", ")
}

/// Fails when a field's name is longer than a column's can be.
pub(super) fn check_names<'a>(fields: impl IntoIterator<Item = &'a str>) -> Result<()> {
    match fields.into_iter().find(|name| name.len() > LONGEST_NAME) {
        None => Ok(()),
        Some(name) => Err(Error::new(
            codes::DEST_004,
            format!("field {name:?} is longer than PostgreSQL's {LONGEST_NAME} bytes for a name"),
        )),
    }
}

/// All tables that the role can see, except PostgreSQL's and Tapline's own.
pub(super) async fn list(client: &Client) -> Result<Vec<StreamInfo>> {
    let rows = client
        .query(
            "SELECT n.nspname::text, c.relname::text, a.attname::text, format_type(a.atttypid, a.atttypmod), \
               (a.attnotnull OR t.typnotnull) AND NOT a.atthasdef AND t.typdefault IS NULL AND a.attidentity = '' \
             FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
             JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' \
             JOIN pg_type t ON t.oid = a.atttypid \
             WHERE c.relkind IN ('r', 'p') AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema' \
               AND NOT starts_with(c.relname::text, $1) AND has_schema_privilege(n.oid, 'USAGE') \
             ORDER BY 1, 2, a.attnum",
            &[&OWN_PREFIX],
        )
        .await
        .map_err(|error| fault::statement("listing tables", error))?;
    let mut streams: Vec<StreamInfo> = Vec::new();
    for row in rows {
        let (schema, table): (String, String) = (row.get(0), row.get(1));
        let quote = |part: &str| format!("\"{}\"", part.replace('"', "\"\""));
        let name = StreamName::parse(&format!("{}.{}", quote(&schema), quote(&table)))?;
        let field = FieldInfo { name: row.get(2), data_type: row.get(3), required: row.get(4) };
        match streams.last_mut() {
            Some(stream) if stream.name == name => stream.fields.push(field),
            _ => streams.push(StreamInfo { name, fields: vec![field] }),
        }
    }
    Ok(streams)
}
