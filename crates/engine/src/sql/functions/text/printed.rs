//! One value in the form that a place of a template asks for.
//! Not here: how templates are read (`formats`).
//! Called by `formats`.

use datafusion::common::{Result, exec_err};

/// On which side a value stands in its width.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Right,
    Center,
    /// Filled between the sign and the digits.
    Numeric,
}

/// The form that is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spec {
    pub fill: char,
    pub align: Option<Align>,
    pub sign: char,
    pub alternate: bool,
    pub zeros: bool,
    pub width: usize,
    pub grouping: Option<char>,
    pub precision: Option<usize>,
    pub kind: Option<char>,
}

impl Default for Spec {
    fn default() -> Self {
        Self {
            fill: ' ',
            align: None,
            sign: '-',
            alternate: false,
            zeros: false,
            width: 0,
            grouping: None,
            precision: None,
            kind: None,
        }
    }
}

/// A value of a template.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Text(String),
    Whole(i128),
    Float(f64),
    Truth(bool),
}

impl Value {
    /// The value in the form.
    pub(super) fn print(&self, spec: &Spec) -> Result<String> {
        match self {
            Self::Text(text) => match spec.kind {
                None | Some('s') => {
                    let text: String = match spec.precision {
                        Some(precision) => text.chars().take(precision).collect(),
                        None => text.clone(),
                    };
                    Ok(fill("", &text, spec, Align::Left))
                }
                Some(_) => exec_err!("the template asks for another type than text"),
            },
            Self::Truth(truth) => match spec.kind {
                None | Some('s') => Ok(fill("", if *truth { "true" } else { "false" }, spec, Align::Left)),
                Some(_) => Self::Whole((*truth).into()).print(spec),
            },
            Self::Whole(number) => whole(*number, spec),
            Self::Float(number) => float(*number, spec),
        }
    }
}

fn sign(negative: bool, spec: &Spec) -> &'static str {
    match (negative, spec.sign) {
        (true, _) => "-",
        (false, '+') => "+",
        (false, ' ') => " ",
        (false, _) => "",
    }
}

fn whole(number: i128, spec: &Spec) -> Result<String> {
    let size = number.unsigned_abs();
    let (prefix, digits) = match spec.kind {
        None | Some('d') => ("", size.to_string()),
        Some('x') => ("0x", format!("{size:x}")),
        Some('X') => ("0X", format!("{size:X}")),
        Some('b') => ("0b", format!("{size:b}")),
        Some('B') => ("0B", format!("{size:b}")),
        Some('o') => ("0", format!("{size:o}")),
        Some('e' | 'E' | 'f' | 'F' | 'g' | 'G') => return float(number as f64, spec),
        Some(_) => return exec_err!("the template asks for another type than a whole number"),
    };
    let digits = match spec.grouping {
        Some(separator) => group(&digits, separator),
        None => digits,
    };
    let prefix = if spec.alternate { prefix } else { "" };
    Ok(fill(&format!("{}{prefix}", sign(number < 0, spec)), &digits, spec, Align::Right))
}

/// Separates thousands.
fn group(digits: &str, separator: char) -> String {
    let (whole, rest) = digits.split_at(digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len()));
    let mut text = String::with_capacity(digits.len() + whole.len() / 3);
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index) % 3 == 0 {
            text.push(separator);
        }
        text.push(digit);
    }
    text + rest
}

fn float(number: f64, spec: &Spec) -> Result<String> {
    let size = number.abs();
    let precision = spec.precision.unwrap_or(6);
    let text = match spec.kind {
        _ if number.is_nan() => "nan".to_owned(),
        _ if number.is_infinite() => "inf".to_owned(),
        None if spec.precision.is_none() => shortest(size),
        Some('f' | 'F') => format!("{size:.precision$}"),
        Some('e' | 'E') => exponent(&format!("{size:.precision$e}")),
        None | Some('g' | 'G') => significant(size, precision.max(1), spec.alternate),
        Some(_) => return exec_err!("the template asks for another type than a number with places"),
    };
    let text = match spec.grouping {
        Some(separator) => group(&text, separator),
        None => text,
    };
    let text = if spec.kind.is_some_and(char::is_uppercase) { text.to_uppercase() } else { text };
    Ok(fill(sign(number.is_sign_negative(), spec), &text, spec, Align::Right))
}

/// The fewest digits that give the number again.
fn shortest(number: f64) -> String {
    if number != 0.0 && !(1e-4..1e16).contains(&number) {
        return exponent(&format!("{number:e}"));
    }
    let text = number.to_string();
    if text.contains('.') { text } else { text + ".0" }
}

/// An exponent with its sign and two digits.
fn exponent(text: &str) -> String {
    let Some((mantissa, exponent)) = text.split_once('e') else { return text.to_owned() };
    let (sign, digits) = match exponent.strip_prefix('-') {
        Some(digits) => ('-', digits),
        None => ('+', exponent),
    };
    format!("{mantissa}e{sign}{digits:0>2}")
}

fn significant(number: f64, precision: usize, keep_zeros: bool) -> String {
    let scientific = format!("{number:.*e}", precision - 1);
    let power: i32 = scientific.split_once('e').and_then(|(_, power)| power.parse().ok()).unwrap_or(0);
    let trim = |text: String| {
        if keep_zeros || !text.contains('.') {
            return text;
        }
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    if power < -4 || power >= precision as i32 {
        let (mantissa, power) = scientific.split_once('e').unwrap_or((&scientific, "0"));
        return exponent(&format!("{}e{power}", trim(mantissa.to_owned())));
    }
    let places = usize::try_from(precision as i32 - 1 - power).unwrap_or(0);
    trim(format!("{number:.places$}"))
}

fn fill(prefix: &str, text: &str, spec: &Spec, default: Align) -> String {
    let length = prefix.chars().count() + text.chars().count();
    let missing = spec.width.saturating_sub(length);
    let repeat = |fill: char, count: usize| fill.to_string().repeat(count);
    let align = match spec.align {
        None if spec.zeros => return format!("{prefix}{}{text}", repeat('0', missing)),
        None => default,
        Some(align) => align,
    };
    match align {
        Align::Left => format!("{prefix}{text}{}", repeat(spec.fill, missing)),
        Align::Right => format!("{}{prefix}{text}", repeat(spec.fill, missing)),
        Align::Center => {
            let left = missing / 2;
            format!("{}{prefix}{text}{}", repeat(spec.fill, left), repeat(spec.fill, missing - left))
        }
        Align::Numeric => format!("{prefix}{}{text}", repeat(spec.fill, missing)),
    }
}
