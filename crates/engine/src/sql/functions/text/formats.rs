//! `format` and `printf`: which arguments a template takes, and in which form.
//! Not here: how one value is printed (`printed`).
//! Called by `text`.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Decimal256Type, Field, Float64Type, Int64Type, UInt64Type};
use datafusion::common::{Result, exec_datafusion_err, exec_err};

use super::printed::{Align, Spec, Value};
use crate::sql::functions::toolkit::general::{Call, Plain, answer};
use crate::sql::functions::toolkit::types::*;
use crate::sql::functions::toolkit::values::texts;
use crate::sql::functions::toolkit::{Function, general};

pub(super) fn functions() -> Vec<Function> {
    vec![
        general(
            &["format"],
            "a text with the arguments in place of {}, {0} or {:.2f}",
            Plain { coerce, result: |_| Ok(answer(DataType::Utf8)), run: |call| run(call, braces) },
        ),
        general(
            &["printf"],
            "a text with the arguments in place of %d, %s or %.2f",
            Plain { coerce, result: |_| Ok(answer(DataType::Utf8)), run: |call| run(call, percents) },
        ),
    ]
}

fn coerce(types: &[DataType]) -> Result<Vec<DataType>> {
    let kind = |(index, data_type): (usize, &DataType)| match data_type {
        _ if index == 0 => DataType::Utf8,
        DataType::Float32 | DataType::Float16 => DataType::Float64,
        DataType::Decimal256(39, 0) => DataType::Decimal256(39, 0),
        decimal if decimal.is_decimal() => DataType::Float64,
        DataType::UInt64 => DataType::UInt64,
        whole if whole.is_integer() => DataType::Int64,
        DataType::Null => DataType::Utf8,
        other => other.clone(),
    };
    Ok(types.iter().enumerate().map(kind).collect())
}

type Template = fn(&str, &dyn Fn(usize) -> Result<Value>) -> Result<String>;

fn run(call: &Call<'_>, template: Template) -> Result<ArrayRef> {
    let (templates, arguments) =
        call.columns.split_first().ok_or_else(|| exec_datafusion_err!("a template is missing"))?;
    let templates = templates.as_string::<i32>();
    let fields: Vec<&Field> = call.fields[1..].iter().map(|field| field.as_ref()).collect();
    let written = arguments
        .iter()
        .zip(&fields)
        .map(|(column, field)| match column.data_type() {
            DataType::Int64 | DataType::UInt64 | DataType::Float64 | DataType::Boolean => Ok(None),
            DataType::Decimal256(39, 0) => Ok(None),
            _ => texts(field, column).map(Some),
        })
        .collect::<Result<Vec<_>>>()?;
    let mut rows = Vec::with_capacity(call.rows);
    for row in 0..call.rows {
        if templates.is_null(row) || arguments.iter().any(|column| column.is_null(row)) {
            rows.push(None);
            continue;
        }
        let value = |index: usize| -> Result<Value> {
            let Some(column) = arguments.get(index) else {
                return exec_err!("the template asks for argument {}, of {}", index + 1, arguments.len());
            };
            Ok(match (&written[index], column.data_type()) {
                (Some(texts), _) => Value::Text(texts.value(row).to_owned()),
                (None, DataType::Int64) => Value::Whole(column.as_primitive::<Int64Type>().value(row).into()),
                (None, DataType::UInt64) => Value::Whole(column.as_primitive::<UInt64Type>().value(row).into()),
                (None, DataType::Float64) => Value::Float(column.as_primitive::<Float64Type>().value(row)),
                (None, DataType::Boolean) => Value::Truth(column.as_boolean().value(row)),
                (None, _) => {
                    let number = column.as_primitive::<Decimal256Type>().value(row);
                    Value::Whole(number.to_i128().ok_or_else(|| exec_datafusion_err!("the number is too large"))?)
                }
            })
        };
        rows.push(Some(template(templates.value(row), &value)?));
    }
    Ok(Text::build(rows))
}

/// A template in the style of `{:>8}`.
fn braces(template: &str, value: &dyn Fn(usize) -> Result<Value>) -> Result<String> {
    let mut text = String::with_capacity(template.len());
    let mut rest = template;
    let mut next = 0;
    while let Some(at) = rest.find(['{', '}']) {
        text.push_str(&rest[..at]);
        let brace = &rest[at..=at];
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix(brace) {
            text.push_str(brace);
            rest = after;
            continue;
        }
        let Some(end) = (brace == "{").then(|| rest.find('}')).flatten() else {
            return exec_err!("a brace of the template has no counterpart");
        };
        let (index, spec) = rest[..end].split_once(':').unwrap_or((&rest[..end], ""));
        let index = if index.is_empty() {
            next += 1;
            next - 1
        } else {
            index.parse().map_err(|_| exec_datafusion_err!("a number of an argument is expected in the braces"))?
        };
        text.push_str(&value(index)?.print(&brace_spec(spec)?)?);
        rest = &rest[end + 1..];
    }
    text.push_str(rest);
    Ok(text)
}

/// Reads `[[fill]align][sign][#][0][width][grouping][.precision][kind]`.
fn brace_spec(text: &str) -> Result<Spec> {
    let mut spec = Spec::default();
    let mut characters: Vec<char> = text.chars().collect();
    let align = |character: char| match character {
        '<' => Some(Align::Left),
        '>' => Some(Align::Right),
        '^' => Some(Align::Center),
        '=' => Some(Align::Numeric),
        _ => None,
    };
    if let Some(found) = characters.get(1).copied().and_then(align) {
        spec.fill = characters[0];
        spec.align = Some(found);
        characters.drain(..2);
    } else if let Some(found) = characters.first().copied().and_then(align) {
        spec.align = Some(found);
        characters.remove(0);
    }
    let mut at = 0;
    let peek = |at: usize| characters.get(at).copied();
    if let Some(sign @ ('+' | '-' | ' ')) = peek(at) {
        spec.sign = sign;
        at += 1;
    }
    if peek(at) == Some('#') {
        spec.alternate = true;
        at += 1;
    }
    if peek(at) == Some('0') {
        spec.zeros = true;
        at += 1;
    }
    spec.width = digits(&characters, &mut at)?.unwrap_or(0);
    match peek(at) {
        Some(separator @ (',' | '_' | '\'')) => {
            spec.grouping = Some(separator);
            at += 1;
        }
        Some('t') if at + 1 < characters.len() => {
            spec.grouping = Some(characters[at + 1]);
            at += 2;
        }
        _ => {}
    }
    if peek(at) == Some('.') {
        at += 1;
        spec.precision = digits(&characters, &mut at)?;
    }
    spec.kind = peek(at);
    if characters.len() > at + 1 {
        return exec_err!("the format in the braces is not known");
    }
    Ok(spec)
}

fn digits(characters: &[char], at: &mut usize) -> Result<Option<usize>> {
    /// Nothing is printed wider.
    const WIDEST: usize = 100_000;
    let start = *at;
    while characters.get(*at).is_some_and(char::is_ascii_digit) {
        *at += 1;
    }
    if *at == start {
        return Ok(None);
    }
    let number: String = characters[start..*at].iter().collect();
    match number.parse() {
        Ok(number) if number <= WIDEST => Ok(Some(number)),
        _ => exec_err!("a width of the template is too large"),
    }
}

/// A template in the style of `%8s`.
fn percents(template: &str, value: &dyn Fn(usize) -> Result<Value>) -> Result<String> {
    let characters: Vec<char> = template.chars().collect();
    let mut text = String::with_capacity(template.len());
    let mut at = 0;
    let mut next = 0;
    while at < characters.len() {
        if characters[at] != '%' {
            text.push(characters[at]);
            at += 1;
            continue;
        }
        at += 1;
        if characters.get(at) == Some(&'%') {
            text.push('%');
            at += 1;
            continue;
        }
        let mut spec = Spec { align: Some(Align::Right), ..Spec::default() };
        while let Some(flag) = characters.get(at) {
            match flag {
                '-' => spec.align = Some(Align::Left),
                '+' | ' ' => spec.sign = *flag,
                '#' => spec.alternate = true,
                '0' => spec.zeros = true,
                ',' | '_' | '\'' => spec.grouping = Some(*flag),
                _ => break,
            }
            at += 1;
        }
        spec.width = digits(&characters, &mut at)?.unwrap_or(0);
        if characters.get(at) == Some(&'.') {
            at += 1;
            spec.precision = Some(digits(&characters, &mut at)?.unwrap_or(0));
        }
        while characters.get(at).is_some_and(|length| matches!(length, 'l' | 'h' | 'z' | 'j' | 't' | 'L')) {
            at += 1;
        }
        let Some(kind) = characters.get(at).copied() else {
            return exec_err!("the template ends within a %");
        };
        at += 1;
        let argument = value(next)?;
        next += 1;
        spec.kind = match (&argument, kind) {
            (Value::Whole(_), 'i' | 'u') => Some('d'),
            (Value::Whole(code), 'c') => {
                let code = u32::try_from(*code).ok().and_then(char::from_u32).unwrap_or(' ');
                text.push_str(&Value::Text(code.to_string()).print(&Spec { kind: None, ..spec })?);
                continue;
            }
            (_, kind) => Some(kind),
        };
        if spec.zeros && spec.align == Some(Align::Right) {
            spec.align = None;
        }
        text.push_str(&argument.print(&spec)?);
    }
    Ok(text)
}
