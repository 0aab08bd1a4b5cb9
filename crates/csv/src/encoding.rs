//! Bytes in a file's encoding to UTF-8, streaming.
//! Choosing an encoding from a sample happens here too; invalid UTF-8 is left in place for the decoder to reject line by line.
//! Used by detection (on samples) and by the decoder (on every chunk).

use encoding_rs::{DecoderResult, Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

use crate::error::CsvError;
use crate::options::setting;

/// Finds an encoding by its WHATWG label (<https://encoding.spec.whatwg.org/#names-and-labels>) or DuckDB's spelling of it.
pub(crate) fn by_label(label: &str) -> Result<&'static Encoding, CsvError> {
    let folded = label.trim().to_ascii_lowercase().replace('_', "-");
    let plain = match folded.as_str() {
        "latin-1" | "latin1" | "iso-8859-1" | "cp1252" | "ansi" => "windows-1252",
        "utf-16-le" | "utf16le" | "utf16" => "utf-16le",
        "utf-16-be" | "utf16be" => "utf-16be",
        "utf8" | "utf-8-sig" => "utf-8",
        other => other,
    };
    Encoding::for_label(plain.as_bytes())
        .or_else(|| Encoding::for_label(folded.replace('-', "_").as_bytes()))
        .ok_or_else(|| setting("encoding", format!("{label:?} is not a known encoding; use utf-8, utf-16le, utf-16be, windows-1252 or another WHATWG label")))
}

/// An encoding's stable name, lower case.
pub(crate) fn name_of(encoding: &'static Encoding) -> String {
    encoding.name().to_ascii_lowercase()
}

/// Chooses the encoding of a sample, with the reason in words.
pub(crate) fn guess(sample: &[u8], complete: bool) -> (&'static Encoding, String) {
    if let Some((encoding, _)) = Encoding::for_bom(sample) {
        return (encoding, format!("encoding {}: a byte order mark says so", name_of(encoding)));
    }
    if let Some(encoding) = utf_16_without_mark(sample) {
        return (encoding, format!("encoding {}: every other byte is zero", name_of(encoding)));
    }
    let (valid, invalid) = utf8_sequences(sample, complete);
    // A few damaged characters among many good ones are damage, to be rejected line by line; otherwise the text is not UTF-8 at all.
    if invalid == 0 || valid > 4 * invalid {
        return (UTF_8, "encoding utf-8".to_owned());
    }
    (WINDOWS_1252, "encoding windows-1252: the bytes are not valid UTF-8".to_owned())
}

fn utf_16_without_mark(sample: &[u8]) -> Option<&'static Encoding> {
    let pairs = sample.len().min(4096) / 2;
    if pairs < 4 {
        return None;
    }
    let zeros = |offset: usize| sample.chunks_exact(2).take(pairs).filter(|pair| pair[offset] == 0).count();
    let (high_first, low_first) = (zeros(0), zeros(1));
    if low_first * 10 >= pairs * 7 && high_first * 20 <= pairs {
        Some(UTF_16LE)
    } else if high_first * 10 >= pairs * 7 && low_first * 20 <= pairs {
        Some(UTF_16BE)
    } else {
        None
    }
}

/// How many multi-byte characters are well formed, and how many stretches are not.
fn utf8_sequences(sample: &[u8], complete: bool) -> (usize, usize) {
    let (mut valid, mut invalid) = (0, 0);
    for chunk in sample.utf8_chunks() {
        valid += chunk.valid().chars().filter(|character| !character.is_ascii()).count();
        invalid += usize::from(!chunk.invalid().is_empty());
    }
    if !complete && invalid > 0 && std::str::from_utf8(sample).is_err_and(|error| error.error_len().is_none()) {
        // The prefix ends inside a character.
        invalid -= 1;
    }
    (valid, invalid)
}

/// Turns the bytes of one file into UTF-8, chunk by chunk. UTF-8 passes through unchecked, without its byte order mark.
pub(crate) struct Transcoder {
    declared: &'static Encoding,
    start: Vec<u8>,
    state: State,
    /// Bytes of a mark that was left out of UTF-8 text.
    pub mark: usize,
}

enum State {
    /// Too few bytes yet to see a byte order mark.
    Start,
    Pass,
    Convert(Box<encoding_rs::Decoder>),
}

impl Transcoder {
    /// A transcoder for a file in `declared`; a byte order mark in the file overrules it.
    pub(crate) fn new(declared: &'static Encoding) -> Transcoder {
        Transcoder { declared, start: Vec::new(), state: State::Start, mark: 0 }
    }

    /// Whether bytes pass through unchanged, so that positions in the text are positions in the file.
    pub(crate) fn is_transparent(&self) -> bool {
        self.declared == UTF_8 && !matches!(self.state, State::Convert(_))
    }

    /// Goes on in the middle of a file of UTF-8.
    pub(crate) fn in_the_middle() -> Transcoder {
        Transcoder { declared: UTF_8, start: Vec::new(), state: State::Pass, mark: 0 }
    }

    /// Appends the UTF-8 form of `bytes` to `output`. Malformed bytes of other encodings become 0xFF, which no UTF-8 text contains, so that the
    /// decoder rejects their line.
    pub(crate) fn push(&mut self, bytes: &[u8], output: &mut Vec<u8>, last: bool) {
        match &mut self.state {
            State::Pass => output.extend_from_slice(bytes),
            State::Convert(decoder) => convert(decoder, bytes, output, last),
            State::Start => {
                self.start.extend_from_slice(bytes);
                if self.start.len() < 3 && !last {
                    return;
                }
                let start = std::mem::take(&mut self.start);
                let (encoding, mark) = Encoding::for_bom(&start).unwrap_or((self.declared, 0));
                self.mark = if encoding == UTF_8 { mark } else { 0 };
                self.state = if encoding == UTF_8 {
                    State::Pass
                } else {
                    State::Convert(Box::new(encoding.new_decoder_without_bom_handling()))
                };
                self.push(&start[mark..], output, last);
            }
        }
    }
}

fn convert(decoder: &mut encoding_rs::Decoder, mut bytes: &[u8], output: &mut Vec<u8>, last: bool) {
    let mut buffer = [0_u8; 8192];
    loop {
        let (result, read, written) = decoder.decode_to_utf8_without_replacement(bytes, &mut buffer, last);
        output.extend_from_slice(&buffer[..written]);
        bytes = &bytes[read..];
        match result {
            DecoderResult::InputEmpty => return,
            DecoderResult::OutputFull => {}
            DecoderResult::Malformed(..) => output.push(0xFF),
        }
    }
}

/// The UTF-8 form of a sample.
pub(crate) fn to_utf8(sample: &[u8], encoding: &'static Encoding, complete: bool) -> Vec<u8> {
    let mut output = Vec::with_capacity(sample.len());
    Transcoder::new(encoding).push(sample, &mut output, true);
    if !complete {
        // A character that the prefix cuts in two is not damage.
        let damaged_end = output.iter().rev().take(4).take_while(|byte| !byte.is_ascii()).count();
        output.truncate(output.len() - damaged_end);
    }
    output
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transcode(bytes: &[u8], encoding: &'static Encoding, chunk: usize) -> Vec<u8> {
        let mut transcoder = Transcoder::new(encoding);
        let mut output = Vec::new();
        for piece in bytes.chunks(chunk) {
            transcoder.push(piece, &mut output, false);
        }
        transcoder.push(b"", &mut output, true);
        output
    }

    #[test]
    fn marks_and_chunks() {
        let utf16: Vec<u8> =
            [0xFF, 0xFE].into_iter().chain("a,ü,🦆\n".encode_utf16().flat_map(u16::to_le_bytes)).collect();
        for chunk in 1..8 {
            assert_eq!(transcode(&utf16, UTF_8, chunk), "a,ü,🦆\n".as_bytes(), "chunk {chunk}");
            assert_eq!(transcode("\u{feff}ü".as_bytes(), UTF_8, chunk), "ü".as_bytes(), "chunk {chunk}");
            assert_eq!(transcode(b"M\xFCller", WINDOWS_1252, chunk), "Müller".as_bytes(), "chunk {chunk}");
        }
        assert_eq!(transcode(b"a", UTF_8, 1), b"a");
        assert_eq!(transcode(b"\x81", encoding_rs::SHIFT_JIS, 1), [0xFF]);
    }

    #[test]
    fn guesses() {
        let named = |bytes: &[u8]| name_of(guess(bytes, true).0);
        assert_eq!(named(b"plain"), "utf-8");
        assert_eq!(named("ü,ö".as_bytes()), "utf-8");
        assert_eq!(named(b"M\xFCller"), "windows-1252");
        assert_eq!(named(&"id,name\n".encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<_>>()), "utf-16be");
        let mut mostly_good = "äöüß€ äöüß€".as_bytes().to_vec();
        mostly_good.push(0xFC);
        assert_eq!(named(&mostly_good), "utf-8");
        assert_eq!(name_of(guess(&"ü".as_bytes()[..1], false).0), "utf-8");
    }

    #[test]
    fn labels() {
        for label in ["latin-1", "LATIN1", "ISO_8859_1", "cp1252", "UTF-16", "shift_jis", "windows-1256", "big5"] {
            assert!(by_label(label).is_ok(), "{label}");
        }
        assert!(by_label("klingon").is_err());
    }
}
