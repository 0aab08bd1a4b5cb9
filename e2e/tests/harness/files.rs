//! Tables in memory, and the CSV and Parquet files made of them.
//! Not here: where the files are put (`world`).
//! Called by tests, to make what a source holds and to say what a destination has to hold.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Date32Array, Float64Array, Int64Array, RecordBatch, StringArray};
use chrono::{Days, NaiveDate};
use parquet::arrow::ArrowWriter;

/// The formats that a source may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Csv,
    Parquet,
}

impl Format {
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Parquet => "parquet",
        }
    }
}

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    Null,
    Int(i64),
    /// With digits behind the point, so that every database shows it alike.
    Double(f64),
    Bool(bool),
    /// Days since 1970.
    Date(i32),
    Text(String),
}

impl Cell {
    /// As most programs show it; `None` for NULL.
    pub fn text(&self) -> Option<String> {
        match self {
            Self::Null => None,
            Self::Int(value) => Some(value.to_string()),
            Self::Double(value) => Some(value.to_string()),
            Self::Bool(value) => Some(value.to_string()),
            Self::Date(days) => {
                let epoch = NaiveDate::from_ymd_opt(1970, 1, 1).unwrap();
                Some((epoch + Days::new(u64::try_from(*days).unwrap())).to_string())
            }
            Self::Text(text) => Some(text.clone()),
        }
    }
}

impl From<i64> for Cell {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl<T: Into<Cell>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// Named columns and rows; the first column is the key where there is one.
#[derive(Debug, Clone)]
pub struct Table {
    columns: Vec<&'static str>,
    pub rows: Vec<Vec<Cell>>,
}

impl Table {
    pub fn new<const N: usize>(columns: [&'static str; N], rows: impl IntoIterator<Item = [Cell; N]>) -> Self {
        Self { columns: columns.to_vec(), rows: rows.into_iter().map(Vec::from).collect() }
    }

    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.columns.iter().copied()
    }

    /// The row with this key.
    #[track_caller]
    pub fn row(&mut self, key: i64) -> &mut Vec<Cell> {
        self.rows.iter_mut().find(|row| row[0] == Cell::Int(key)).unwrap_or_else(|| panic!("there is no row {key}"))
    }

    /// Takes rows out by their keys.
    pub fn remove(&mut self, keys: &[i64]) -> Vec<Vec<Cell>> {
        let (removed, kept) = std::mem::take(&mut self.rows)
            .into_iter()
            .partition(|row| keys.iter().any(|key| row[0] == Cell::Int(*key)));
        self.rows = kept;
        removed
    }

    /// Some of its rows, by their positions.
    pub fn part(&self, positions: Range<usize>) -> Self {
        Self { columns: self.columns.clone(), rows: self.rows[positions].to_vec() }
    }

    /// A file of this format.
    pub fn file(&self, format: Format) -> Vec<u8> {
        match format {
            Format::Csv => self.csv().into_bytes(),
            Format::Parquet => self.parquet(),
        }
    }

    /// CSV with a header: NULL is empty, an empty text `""`.
    pub fn csv(&self) -> String {
        let mut text = self.columns.join(",") + "\n";
        for row in &self.rows {
            let fields: Vec<String> = row.iter().map(field).collect();
            text.push_str(&fields.join(","));
            text.push('\n');
        }
        text
    }

    /// Parquet with one type per column, taken from the first value that is not NULL.
    pub fn parquet(&self) -> Vec<u8> {
        let columns = self.columns.iter().enumerate().map(|(index, name)| (*name, self.array(index), true));
        let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
        let mut file = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut file, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        file
    }

    fn array(&self, column: usize) -> ArrayRef {
        macro_rules! array {
            ($array:ty, $kind:path) => {
                Arc::new(<$array>::from_iter(self.rows.iter().map(|row| match &row[column] {
                    $kind(value) => Some(value.clone()),
                    Cell::Null => None,
                    other => panic!("{other:?} among other types in column {column}"),
                })))
            };
        }
        match self.rows.iter().map(|row| &row[column]).find(|cell| **cell != Cell::Null) {
            Some(Cell::Int(_)) => array!(Int64Array, Cell::Int),
            Some(Cell::Double(_)) => array!(Float64Array, Cell::Double),
            Some(Cell::Bool(_)) => array!(BooleanArray, Cell::Bool),
            Some(Cell::Date(_)) => array!(Date32Array, Cell::Date),
            _ => array!(StringArray, Cell::Text),
        }
    }
}

fn field(cell: &Cell) -> String {
    let text = cell.text();
    match text.as_deref() {
        None => String::new(),
        Some("") => "\"\"".to_owned(),
        Some(text) if text.contains([',', '"', '\n']) => format!("\"{}\"", text.replace('"', "\"\"")),
        Some(text) => text.to_owned(),
    }
}

/// Customers with ids from `first` to `last`, the same every time: every type, NULLs, empty texts, and texts that have
/// to be quoted.
pub fn customers(first: i64, last: i64) -> Table {
    const NAMES: [&str; 6] = ["Ada", "Grace", "Édith \"Piaf\"", "Wang, Lei", "O'Neil", "two\nlines"];
    const CITIES: [Option<&str>; 5] = [Some("Berlin"), Some("Lagos"), None, Some("東京"), Some("")];
    let row = |id: i64| {
        let pick = usize::try_from(id).unwrap();
        [
            Cell::Int(id),
            NAMES[pick % NAMES.len()].into(),
            CITIES[pick % CITIES.len()].into(),
            if id % 7 == 0 { Cell::Null } else { Cell::Double(id as f64 + 0.25) },
            Cell::Bool(id % 2 == 0),
            Cell::Date(19_000 + (id % 500) as i32),
        ]
    };
    Table::new(["id", "name", "city", "balance", "active", "joined"], (first..=last).map(row))
}
