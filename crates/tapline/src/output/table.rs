//! Rows as a table for people: types below names, numbers to the right, the first and the last rows of many.
//! Not here: reports of other kinds, which have tables of their own.
//! Called by the row printer.

use std::collections::VecDeque;
use std::io::{self, Write};

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, SchemaRef};
use comfy_table::{Attribute, Cell, CellAlignment, ContentArrangement, Table};

use super::columns;
use super::values::{Column, duckdb_type_name};

/// Lines at the sides and between columns, one line below the header.
const BORDERS: &str = "││──├─┼┤│    ┬┴┌┐└┘";
/// A cell shows so many characters at most.
const MAX_CELL_CHARACTERS: usize = 256;
/// Stands for what is left out.
const ELLIPSIS: &str = "…";

/// How a table looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableStyle {
    /// The width to fit into in characters, by wrapping cells; `None` for as wide as it gets.
    pub width: Option<u16>,
    /// Whether NULL is dimmed with escape sequences.
    pub color: bool,
    /// How many rows are shown at most: half from the start and half from the end.
    pub rows: usize,
}

impl Default for TableStyle {
    /// No escape sequences, 40 rows, any width.
    fn default() -> Self {
        Self { width: None, color: false, rows: 40 }
    }
}

/// The texts of a row's cells, `None` for NULL.
type Row = Vec<Option<String>>;

pub struct TablePrinter<W> {
    schema: SchemaRef,
    style: TableStyle,
    writer: W,
    count: usize,
    head: Vec<Row>,
    tail: VecDeque<Row>,
}

impl<W: Write> TablePrinter<W> {
    pub fn new(schema: &SchemaRef, writer: W, style: TableStyle) -> Self {
        Self { schema: schema.clone(), style, writer, count: 0, head: Vec::new(), tail: VecDeque::new() }
    }

    /// Keeps the rows that may be shown.
    pub fn write(&mut self, batch: &RecordBatch) -> io::Result<()> {
        let columns = columns(batch)?;
        self.count += batch.num_rows();
        let head_rows = self.style.rows.div_ceil(2).saturating_sub(self.head.len()).min(batch.num_rows());
        self.head.extend((0..head_rows).map(|row| cells(&columns, row)));
        let tail_rows = self.style.rows / 2;
        for row in head_rows.max(batch.num_rows().saturating_sub(tail_rows))..batch.num_rows() {
            if self.tail.len() == tail_rows {
                self.tail.pop_front();
            }
            self.tail.push_back(cells(&columns, row));
        }
        Ok(())
    }

    pub fn finish(mut self) -> io::Result<W> {
        let shown = self.head.len() + self.tail.len();
        let mut table = Table::new();
        table.load_preset(BORDERS).set_content_arrangement(ContentArrangement::Disabled);
        if let Some(width) = self.style.width {
            table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
        }
        if self.style.color {
            table.enforce_styling();
        } else {
            table.force_no_tty();
        }
        let alignments: Vec<_> = self.schema.fields().iter().map(|field| alignment(field)).collect();
        let dim = |cell: Cell| {
            if self.style.color { cell.add_attribute(Attribute::Dim) } else { cell }
        };
        let title =
            |field: &Field| Cell::new(format!("{}\n{}", visible(field.name()), visible(&duckdb_type_name(field))));
        table.set_header(self.schema.fields().iter().map(|field| title(field)));
        for row in &self.head {
            table.add_row(row.iter().map(|text| cell(text.as_deref(), dim)));
        }
        if shown < self.count {
            table.add_row(self.schema.fields().iter().map(|_| dim(Cell::new(ELLIPSIS))));
        }
        for row in &self.tail {
            table.add_row(row.iter().map(|text| cell(text.as_deref(), dim)));
        }
        for (column, alignment) in table.column_iter_mut().zip(alignments) {
            column.set_cell_alignment(alignment);
        }
        let mut text = table.to_string();
        let noun = if self.count == 1 { "row" } else { "rows" };
        let part = if shown < self.count { format!(", {shown} shown") } else { String::new() };
        text.push_str(&format!("\n({} {noun}{part})\n", self.count));
        self.writer.write_all(text.as_bytes())?;
        Ok(self.writer)
    }
}

fn cells(columns: &[Column], row: usize) -> Row {
    let mut text = Vec::new();
    let cell = |column: &Column| {
        text.clear();
        column.text(row, &mut text).then(|| visible(&String::from_utf8_lossy(&text)))
    };
    columns.iter().map(cell).collect()
}

fn cell(text: Option<&str>, dim: impl Fn(Cell) -> Cell) -> Cell {
    match text {
        Some(text) => Cell::new(text),
        None => dim(Cell::new("NULL")),
    }
}

/// The text on one line, with characters that would move the cursor or turn the text around made visible.
fn visible(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    for (index, character) in text.chars().enumerate() {
        if index == MAX_CELL_CHARACTERS {
            result.push_str(ELLIPSIS);
            break;
        }
        let turns = matches!(character, '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}');
        let breaks = matches!(character, '\u{2028}' | '\u{2029}');
        if character.is_control() || turns || breaks {
            result.extend(character.escape_default());
        } else {
            result.push(character);
        }
    }
    result
}

fn alignment(field: &Field) -> CellAlignment {
    let data_type = match field.data_type() {
        DataType::Dictionary(_, value) => value.as_ref(),
        other => other,
    };
    if data_type.is_numeric() { CellAlignment::Right } else { CellAlignment::Left }
}
