//! Passes over records that are too long to be kept.
//! Records that fit are the business of `scanner`; both agree on where a record ends.
//! Used by the decoder, which holds no more than a record may have.

use crate::scanner::Syntax;
use crate::specials::Specials;

/// How many lines end in a stretch of text.
pub(crate) fn count_breaks(text: &[u8]) -> u32 {
    let mut breaks = 0;
    for position in memchr::memchr2_iter(b'\n', b'\r', text) {
        breaks += u32::from(text[position] == b'\n' || text.get(position + 1) != Some(&b'\n'));
    }
    breaks
}

/// Finds the end of a record that is too long to be kept, in constant memory and exactly where [`crate::scanner::Scanner`] finds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Skipper {
    state: SkipState,
    /// Line breaks passed.
    pub breaks: u32,
    /// The byte before was a CR inside quotes.
    after_return: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SkipState {
    FieldStart,
    Unquoted,
    Quoted,
    /// Behind a quote in a quoted field.
    QuoteInQuoted,
    /// Behind the CR that ended the record.
    CarriageReturn,
    /// In text that goes on to the end of the line.
    ToLineEnd,
}

impl Skipper {
    /// Starts with a record.
    pub(crate) fn record() -> Skipper {
        Skipper { state: SkipState::FieldStart, breaks: 0, after_return: false }
    }

    /// Starts in text that ends with its line, behind so many line breaks.
    pub(crate) fn line(breaks: u32) -> Skipper {
        Skipper { state: SkipState::ToLineEnd, breaks, after_return: false }
    }

    /// Goes through the bytes up to the record's end, or as far as can be told without the bytes that follow them. Returns how many bytes
    /// were passed, and whether the record ended.
    pub(crate) fn skip(&mut self, bytes: &[u8], syntax: &Syntax, at_end: bool) -> (usize, bool) {
        // A delimiter or an escape is recognised by all of its bytes.
        let lookahead = if at_end { 0 } else { syntax.delimiter.len().max(2) - 1 };
        let mut specials = Specials::new(bytes, 0, syntax.needles());
        let mut special = specials.next();
        let mut index = 0;
        while index + lookahead < bytes.len() {
            let byte = bytes[index];
            if self.state == SkipState::CarriageReturn {
                return (index + usize::from(byte == b'\n'), true);
            }
            if self.state != SkipState::FieldStart {
                while special.is_some_and(|special| special < index) {
                    special = specials.next();
                }
                let next = special.unwrap_or(bytes.len()).min(bytes.len() - lookahead);
                if next > index {
                    self.after_return = false;
                    if self.state == SkipState::QuoteInQuoted {
                        self.state = SkipState::Unquoted;
                    }
                    index = next;
                    continue;
                }
            }
            if self.state == SkipState::Quoted {
                index += self.quoted(byte, bytes.get(index + 1).copied(), syntax);
                continue;
            }
            if byte == b'\n' || byte == b'\r' {
                self.breaks += 1;
                index += 1;
                if byte == b'\n' {
                    return (index, true);
                }
                self.state = SkipState::CarriageReturn;
                continue;
            }
            let ends_field = self.state != SkipState::ToLineEnd && bytes[index..].starts_with(&syntax.delimiter);
            index += if ends_field { syntax.delimiter.len() } else { 1 };
            self.state = match self.state {
                SkipState::ToLineEnd => SkipState::ToLineEnd,
                _ if ends_field => SkipState::FieldStart,
                SkipState::QuoteInQuoted if syntax.doubled && Some(byte) == syntax.quote => SkipState::Quoted,
                _ if Some(byte) == syntax.inline_comment => SkipState::ToLineEnd,
                SkipState::FieldStart if Some(byte) == syntax.quote => SkipState::Quoted,
                SkipState::FieldStart if byte == b' ' => SkipState::FieldStart,
                _ => SkipState::Unquoted,
            };
        }
        let ended = at_end && self.state == SkipState::CarriageReturn;
        (index.min(bytes.len()), ended)
    }

    /// Takes a byte of a quoted field, with the one behind it if they belong together; returns how many were taken.
    fn quoted(&mut self, byte: u8, following: Option<u8>, syntax: &Syntax) -> usize {
        if byte == b'\n' || byte == b'\r' {
            self.breaks += u32::from(byte == b'\r' || !self.after_return);
        }
        self.after_return = byte == b'\r';
        if Some(byte) == syntax.quote {
            self.state = SkipState::QuoteInQuoted;
        } else if Some(byte) == syntax.escape && (following == syntax.quote || following == syntax.escape) {
            return 2;
        }
        1
    }

    /// Whether the file may end here without leaving a quote open.
    pub(crate) fn is_closed(self) -> bool {
        self.state != SkipState::Quoted
    }
}
