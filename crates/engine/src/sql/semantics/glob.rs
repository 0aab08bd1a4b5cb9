//! `text GLOB pattern`: `*`, `?` and `[a-z]`, as the shell has them.
//! Not here: patterns of file names (`files`).
//! Called by the query engine.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

/// The operator.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Glob {
    signature: Signature,
}

impl Default for Glob {
    fn default() -> Self {
        Self { signature: Signature::string(2, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Glob {
    fn name(&self) -> &str {
        "~~~"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = arguments.args.iter().all(|argument| matches!(argument, ColumnarValue::Scalar(_)));
        let columns = ColumnarValue::values_to_arrays(&arguments.args)?
            .iter()
            .map(|column| Ok(cast(column, &DataType::Utf8)?))
            .collect::<Result<Vec<ArrayRef>>>()?;
        let (texts, patterns) = (columns[0].as_string::<i32>(), columns[1].as_string::<i32>());
        let matched: BooleanArray = texts
            .iter()
            .zip(patterns)
            .map(|(text, pattern)| Some(matches(text?, &pattern?.chars().collect::<Vec<_>>())))
            .collect();
        super::arithmetic::columnar(Arc::new(matched), constant)
    }
}

/// Goes back to the last `*` alone, so that the time is at most the product of both lengths.
fn matches(text: &str, pattern: &[char]) -> bool {
    let text: Vec<char> = text.chars().collect();
    let (mut at, mut place) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while at < text.len() {
        let step = match pattern.get(place) {
            Some('*') => {
                star = Some((place, at));
                place += 1;
                continue;
            }
            Some('?') => Some(1),
            Some('[') => class(&pattern[place..], text[at]),
            Some('\\') if pattern.get(place + 1) == Some(&text[at]) => Some(2),
            Some(character) if *character == text[at] => Some(1),
            _ => None,
        };
        match (step, star) {
            (Some(step), _) => {
                place += step;
                at += 1;
            }
            (None, Some((last, from))) => {
                place = last + 1;
                at = from + 1;
                star = Some((last, at));
            }
            (None, None) => return false,
        }
    }
    pattern[place..].iter().all(|rest| *rest == '*')
}

/// How long a class such as `[a-z]` or `[!0-9]` is, if it holds a character.
fn class(pattern: &[char], character: char) -> Option<usize> {
    let negated = matches!(pattern.get(1), Some('!' | '^'));
    let start = 1 + usize::from(negated);
    let end = (start + 1..pattern.len()).find(|index| pattern[*index] == ']')?;
    let members = &pattern[start..end];
    let mut index = 0;
    let mut held = false;
    while index < members.len() {
        if let [first, '-', last, ..] = &members[index..] {
            held |= (*first..=*last).contains(&character);
            index += 3;
        } else {
            held |= members[index] == character;
            index += 1;
        }
    }
    (held != negated).then_some(end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_the_shell() {
        for (text, pattern, expected) in [
            ("abc", "a*", true),
            ("abc", "a?c", true),
            ("abc", "*b*c*", true),
            ("abc", "[a-b]bc", true),
            ("abc", "[!a]bc", false),
            ("abc", "ab", false),
            ("", "*", true),
            ("a*c", "a\\*c", true),
            ("aXc", "a[]c", false),
        ] {
            assert_eq!(matches(text, &pattern.chars().collect::<Vec<_>>()), expected, "{text} {pattern}");
        }
    }
}
