//! The names of columns: made from header cells, made unique, normalized, and found again.
//! Which line is a header is decided in `detect`.
//! Used by detection and by the decoder, which have to name columns alike.

use std::collections::HashMap;

use unicode_normalization::UnicodeNormalization;

/// The name DuckDB gives to the nameless column at `position` of `count`: as many digits as the last one needs.
pub(crate) fn positional_name(position: usize, count: usize) -> String {
    let digits = count.saturating_sub(1).to_string().len();
    format!("column{position:0digits$}")
}

/// The cells of a header of several lines: what stands in a column, joined by spaces.
pub(crate) fn joined_header(lines: Vec<Vec<String>>) -> Vec<String> {
    let mut joined: Vec<String> = Vec::new();
    for line in lines {
        joined.resize(joined.len().max(line.len()), String::new());
        for (name, cell) in joined.iter_mut().zip(line) {
            let space = if name.is_empty() || cell.is_empty() { "" } else { " " };
            *name = format!("{name}{space}{cell}");
        }
    }
    joined
}

/// Column names as DuckDB makes them from a header: blanks become `column0`, …, repeated names (without regard to case) get `_1`, `_2`, …, until they are free.
pub(crate) fn column_names(cells: Vec<String>) -> Vec<String> {
    let count = cells.len();
    let mut repeats: HashMap<String, usize> = HashMap::new();
    let mut names = Vec::new();
    for (position, cell) in cells.into_iter().enumerate() {
        let mut name = if cell.trim().is_empty() { positional_name(position, count) } else { cell.trim().to_owned() };
        while let Some(count) = repeats.get_mut(&name.to_lowercase()) {
            *count += 1;
            name = format!("{name}_{count}");
        }
        repeats.insert(name.to_lowercase(), 0);
        names.push(name);
    }
    names
}

/// Finds columns by name: exactly, else without regard to case.
pub(crate) struct NameIndex {
    exact: HashMap<String, usize>,
    folded: HashMap<String, usize>,
}

impl NameIndex {
    pub(crate) fn new(names: &[String]) -> NameIndex {
        let mut index = NameIndex { exact: HashMap::new(), folded: HashMap::new() };
        for (position, name) in names.iter().enumerate() {
            index.insert(name, position);
        }
        index
    }

    /// Adds a name; of equal ones the first stays.
    pub(crate) fn insert(&mut self, name: &str, position: usize) {
        self.exact.entry(name.to_owned()).or_insert(position);
        self.folded.entry(name.to_lowercase()).or_insert(position);
    }

    /// Adds the names that a nameless column can have, which depend on how many columns there are.
    pub(crate) fn insert_nameless(&mut self, position: usize) {
        for digits in 1..=6 {
            self.insert(&format!("column{position:0digits$}"), position);
        }
    }

    pub(crate) fn find(&self, name: &str) -> Option<usize> {
        self.exact.get(name).or_else(|| self.folded.get(&name.to_lowercase())).copied()
    }
}

/// A name as DuckDB normalizes it: accents and signs fall away, letters become small, spaces become `_`. What begins with a digit or is a keyword
/// gets a leading `_`.
pub(crate) fn normalized_name(name: &str) -> String {
    let plain: String = name
        .nfkd()
        .map(|character| if character.is_whitespace() { ' ' } else { character.to_ascii_lowercase() })
        .filter(|character| matches!(character, ' ' | '_') || character.is_ascii_alphanumeric())
        .collect();
    let joined = plain.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join("_");
    let marked = joined.is_empty() || joined.starts_with(|first: char| first.is_ascii_digit()) || is_keyword(&joined);
    if marked { format!("_{joined}") } else { joined }
}

fn is_keyword(name: &str) -> bool {
    KEYWORDS.split(' ').any(|keyword| keyword == name)
}

/// DuckDB's keywords, those aside that may stand where a column is named.
const KEYWORDS: &str = "\
    abort absolute access action add admin after aggregate all also alter always analyse analyze and anti any \
    array as asc asof assertion assignment asymmetric at attach attribute authorization backward before begin \
    binary both by cache call called cascade cascaded case cast catalog centuries century chain characteristics \
    check checkpoint class close cluster collate collation column columns comment comments commit committed \
    compression concurrently configuration conflict connection constraint constraints content continue \
    conversion copy cost create cross csv cube current cursor cycle data database day days deallocate decade \
    decades declare default defaults deferrable deferred definer delete delimiter delimiters depends desc \
    describe detach dictionary disable discard distinct do document domain double drop each else enable encoding \
    encrypted end enum error escape event except exclude excluding exclusive execute explain export export_state \
    extension extensions external false family fetch filter first following for force foreign forward freeze \
    from full function functions generated glob global grant granted group groups handler having header hold \
    hour hours identity if ignore ilike immediate immutable implicit import in include including increment index \
    indexes inherit inherits initially inline inner input insensitive insert install instead intersect into \
    invoker is isnull isolation join json key label lambda language large last lateral leading leakproof left \
    level like limit listen load local location lock locked logged macro map mapping match matched materialized \
    maxvalue merge method microsecond microseconds millennia millennium millisecond milliseconds minute minutes \
    minvalue mode month months move name names natural new next no not nothing notify notnull nowait null nulls \
    object of off offset oids old on only operator option options or order ordinality others outer over overlaps \
    overriding owned owner parallel parser partial partition partitioned passing password percent persistent \
    pivot pivot_longer pivot_wider placing plans policy positional pragma preceding prepare prepared preserve \
    primary prior privileges procedural procedure program publication qualify quarter quarters quote range read \
    reassign recheck recursive ref references referencing refresh reindex relative release rename repeatable \
    replace replica reset respect restart restrict returning returns revoke right role rollback rollup rows rule \
    sample savepoint schema schemas scope scroll search second seconds secret security select semi sequence \
    sequences serializable server session set sets share show similar simple skip snapshot some sorted source \
    sql stable standalone start statement statistics stdin stdout storage stored strict strip struct \
    subscription summarize symmetric sysid system table tables tablesample tablespace target temp template \
    temporary text then ties to trailing transaction transform trigger true truncate trusted try_cast type types \
    unbounded uncommitted unencrypted union unique unknown unlisten unlogged unpack unpivot until update use \
    user using vacuum valid validate validator value variable variadic varying verbose version view views \
    virtual volatile week weeks when where whitespace window with within without work wrapper write xml year \
    years yes zone";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_duckdb() {
        let names = |cells: &[&str]| column_names(cells.iter().map(|cell| (*cell).to_owned()).collect());
        assert_eq!(names(&["a", "a", "A", "a_1"]), ["a", "a_1", "A_2", "a_1_1"]);
        assert_eq!(names(&["a", "", " ", "b"]), ["a", "column1", "column2", "b"]);
        assert_eq!(names(&["column1", ""]), ["column1", "column1_1"]);
        assert_eq!(names(&["", "", "", "", "", "", "", "", "", "", " x "])[8..], ["column08", "column09", "x"]);
    }

    #[test]
    fn normalized() {
        assert_eq!(normalized_name("Lead Id"), "lead_id");
        assert_eq!(normalized_name("Total (USD)"), "total_usd");
        assert_eq!(normalized_name("2nd"), "_2nd");
        assert_eq!(normalized_name(" Größe (m²) "), "groe_m2");
        assert_eq!(normalized_name("a.b--c"), "abc");
        assert_eq!(normalized_name("Select"), "_select");
        assert_eq!(normalized_name("東京"), "_");
    }
}
