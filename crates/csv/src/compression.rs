//! Compressed files: which compression a file has, and a streaming decompressor whose output is bounded per call.
//! No I/O happens here; the caller feeds compressed chunks and takes plain ones.
//! Used by whoever reads files, before sampling and before decoding. Formats: gzip (RFC 1952), Zstandard (RFC 8878), bzip2, xz.

use flate2::{Crc, Decompress, FlushDecompress};
use zstd::stream::raw::{InBuffer, Operation, OutBuffer};

use crate::error::CsvError;
use crate::options::{CompressionOption, CsvOptions};

/// xz streams that ask for more memory than this are refused.
const XZ_MEMORY_LIMIT: u64 = 512 * 1024 * 1024;
/// Gzip headers carry a file name and a comment; longer ones are not headers.
const GZIP_HEADER_LIMIT: usize = 128 * 1024;

/// How a file is compressed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// gzip, one or several members.
    Gzip,
    /// Zstandard, one or several frames.
    Zstd,
    /// bzip2, one or several streams.
    Bzip2,
    /// xz, one or several streams.
    Xz,
}

impl Compression {
    /// Recognises a compression by the file's first bytes (six are enough); an empty or unread file by its name.
    pub fn detect(name: &str, first_bytes: &[u8]) -> Compression {
        match first_bytes {
            [0x1F, 0x8B, 8, ..] => Compression::Gzip,
            [0x28, 0xB5, 0x2F, 0xFD, ..] => Compression::Zstd,
            [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, ..] => Compression::Bzip2,
            [0xFD, b'7', b'z', b'X', b'Z', 0, ..] => Compression::Xz,
            [] => Compression::of_name(name),
            _ => Compression::None,
        }
    }

    /// The compression that a file's name promises.
    pub fn of_name(name: &str) -> Compression {
        match name.rsplit_once('.').map(|(_, suffix)| suffix.to_ascii_lowercase()).as_deref() {
            Some("gz" | "gzip") => Compression::Gzip,
            Some("zst" | "zstd") => Compression::Zstd,
            Some("bz2") => Compression::Bzip2,
            Some("xz") => Compression::Xz,
            _ => Compression::None,
        }
    }

    /// The compression that the settings name, else the detected one.
    pub fn resolve(options: &CsvOptions, name: &str, first_bytes: &[u8]) -> Compression {
        match options.compression.unwrap_or_default() {
            CompressionOption::Auto => Compression::detect(name, first_bytes),
            CompressionOption::None => Compression::None,
            CompressionOption::Gzip => Compression::Gzip,
            CompressionOption::Zstd => Compression::Zstd,
            CompressionOption::Bzip2 => Compression::Bzip2,
            CompressionOption::Xz => Compression::Xz,
        }
    }

    /// The usual suffix of a file's name, empty for none.
    pub fn suffix(self) -> &'static str {
        match self {
            Compression::None => "",
            Compression::Gzip => ".gz",
            Compression::Zstd => ".zst",
            Compression::Bzip2 => ".bz2",
            Compression::Xz => ".xz",
        }
    }

    /// Decompresses the start of a file, at most `limit` bytes of it; a stream that is cut off gives what it holds.
    ///
    /// # Errors
    /// [`CsvError::Compression`] where the stream is damaged.
    pub fn decompress_prefix(self, bytes: &[u8], limit: usize) -> Result<Vec<u8>, CsvError> {
        let mut output = Vec::new();
        Decompressor::new(self)?.decompress(bytes, &mut output, limit)?;
        Ok(output)
    }

    fn algorithm(self) -> &'static str {
        match self {
            Compression::None => "nothing",
            Compression::Gzip => "gzip",
            Compression::Zstd => "zstd",
            Compression::Bzip2 => "bzip2",
            Compression::Xz => "xz",
        }
    }
}

/// Decompresses one file, chunk by chunk, in bounded memory however well the file is compressed.
///
/// ```
/// # use tapline_csv::{Compression, Decompressor};
/// # fn read(chunks: &[&[u8]]) -> Result<Vec<u8>, tapline_csv::CsvError> {
/// let mut decompressor = Decompressor::new(Compression::None)?;
/// let (mut plain, mut piece) = (Vec::new(), Vec::new());
/// for mut chunk in chunks.iter().copied() {
///     loop {
///         piece.clear();
///         chunk = &chunk[decompressor.decompress(chunk, &mut piece, 1 << 20)?..];
///         plain.extend_from_slice(&piece);
///         if piece.len() < 1 << 20 {
///             break;
///         }
///     }
/// }
/// decompressor.finish()?;
/// # Ok(plain) }
/// # assert_eq!(read(&[b"a", b"b"]), Ok(b"ab".to_vec()));
/// ```
pub struct Decompressor {
    compression: Compression,
    codec: Codec,
    /// Between members, where a file may end.
    at_boundary: bool,
}

enum Codec {
    None,
    Gzip(Box<Gzip>),
    Zstd(Box<zstd::stream::raw::Decoder<'static>>),
    Bzip2(Box<bzip2::Decompress>),
    Xz(Box<liblzma::stream::Stream>),
}

/// How far one step of a codec went.
struct Step {
    read: usize,
    written: usize,
    /// A member ended; another may follow.
    ended: bool,
}

impl Decompressor {
    /// A decompressor for one file.
    ///
    /// # Errors
    /// [`CsvError::Compression`] where the library cannot be set up (out of memory).
    pub fn new(compression: Compression) -> Result<Decompressor, CsvError> {
        let codec = Codec::new(compression).map_err(|message| error(compression, message))?;
        Ok(Decompressor { compression, codec, at_boundary: true })
    }

    /// Consumes a part of `input`, appends at most `limit` bytes to `output` and returns how many bytes of `input` were consumed.
    /// Fewer than `limit` bytes appended means that all of `input` was consumed and nothing is held back.
    ///
    /// # Errors
    /// [`CsvError::Compression`] where the stream is damaged.
    pub fn decompress(&mut self, input: &[u8], output: &mut Vec<u8>, limit: usize) -> Result<usize, CsvError> {
        if matches!(self.codec, Codec::None) {
            let length = input.len().min(limit);
            output.extend_from_slice(&input[..length]);
            return Ok(length);
        }
        let start = output.len();
        // Room grows with what is really written, so that a small chunk does not cost `limit` bytes.
        let mut room = limit.min(input.len().saturating_mul(4).max(32 * 1024));
        output.resize(start + room, 0);
        let (mut read, mut written) = (0, 0);
        while written < limit {
            if written == room {
                room = limit.min(room * 2);
                output.resize(start + room, 0);
            }
            let rest = &input[read..];
            if self.at_boundary && (rest.is_empty() || self.skip_padding(rest, &mut read)) {
                break;
            }
            let step = self
                .codec
                .step(&input[read..], &mut output[start + written..])
                .map_err(|message| error(self.compression, message))?;
            read += step.read;
            written += step.written;
            self.at_boundary = step.ended;
            if step.ended && !matches!(self.codec, Codec::Zstd(_)) {
                self.codec = Codec::new(self.compression).map_err(|message| error(self.compression, message))?;
            }
            if step.read == 0 && step.written == 0 && !step.ended {
                break;
            }
        }
        output.truncate(start + written);
        Ok(read)
    }

    /// Tells whether the file ended where a member ends.
    ///
    /// # Errors
    /// [`CsvError::Compression`] where the stream is cut off.
    pub fn finish(&self) -> Result<(), CsvError> {
        if self.at_boundary {
            Ok(())
        } else {
            Err(error(self.compression, "the file ends in the middle of the stream".to_owned()))
        }
    }

    /// Skips zero bytes between and after members, which some writers pad with; true when nothing else is left.
    fn skip_padding(&self, rest: &[u8], read: &mut usize) -> bool {
        let zeros = rest.iter().take_while(|byte| **byte == 0).count();
        *read += zeros;
        zeros == rest.len()
    }
}

fn error(compression: Compression, message: String) -> CsvError {
    CsvError::Compression { algorithm: compression.algorithm(), message }
}

impl Codec {
    fn new(compression: Compression) -> Result<Codec, String> {
        Ok(match compression {
            Compression::None => Codec::None,
            Compression::Gzip => Codec::Gzip(Box::new(Gzip::new())),
            Compression::Zstd => {
                Codec::Zstd(Box::new(zstd::stream::raw::Decoder::new().map_err(|error| error.to_string())?))
            }
            Compression::Bzip2 => Codec::Bzip2(Box::new(bzip2::Decompress::new(false))),
            Compression::Xz => {
                let stream = liblzma::stream::Stream::new_stream_decoder(XZ_MEMORY_LIMIT, 0)
                    .map_err(|error| error.to_string())?;
                Codec::Xz(Box::new(stream))
            }
        })
    }

    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, String> {
        match self {
            Codec::None => Ok(Step { read: 0, written: 0, ended: true }),
            Codec::Gzip(gzip) => gzip.step(input, output),
            Codec::Zstd(decoder) => {
                let (mut source, mut target) = (InBuffer::around(input), OutBuffer::around(output));
                let hint = decoder.run(&mut source, &mut target).map_err(|error| error.to_string())?;
                Ok(Step { read: source.pos(), written: target.pos(), ended: hint == 0 })
            }
            Codec::Bzip2(decoder) => {
                let before = (decoder.total_in(), decoder.total_out());
                let status = decoder.decompress(input, output).map_err(|error| error.to_string())?;
                let (read, written) = (decoder.total_in() - before.0, decoder.total_out() - before.1);
                Ok(Step { read: read as usize, written: written as usize, ended: status == bzip2::Status::StreamEnd })
            }
            Codec::Xz(stream) => {
                use liblzma::stream::{Action, Error, Status};
                let before = (stream.total_in(), stream.total_out());
                let ended = match stream.process(input, output, Action::Run) {
                    Ok(status) => status == Status::StreamEnd,
                    Err(Error::Mem | Error::MemLimit) => {
                        return Err("the stream needs more memory than is allowed".to_owned());
                    }
                    Err(error) => return Err(error.to_string()),
                };
                let (read, written) = (stream.total_in() - before.0, stream.total_out() - before.1);
                Ok(Step { read: read as usize, written: written as usize, ended })
            }
        }
    }
}

/// The framing of RFC 1952 around a deflate stream.
struct Gzip {
    part: GzipPart,
    /// Header or trailer bytes so far.
    pending: Vec<u8>,
    inflate: Decompress,
    checksum: Crc,
}

#[derive(Clone, Copy)]
enum GzipPart {
    Header,
    Body,
    Trailer,
}

impl Gzip {
    fn new() -> Gzip {
        Gzip { part: GzipPart::Header, pending: Vec::new(), inflate: Decompress::new(false), checksum: Crc::new() }
    }

    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, String> {
        match self.part {
            GzipPart::Header => {
                let before = self.pending.len();
                self.pending.extend_from_slice(&input[..input.len().min(GZIP_HEADER_LIMIT)]);
                let read = match gzip_header_length(&self.pending)? {
                    Some(length) => {
                        self.pending.clear();
                        self.part = GzipPart::Body;
                        length - before
                    }
                    None if self.pending.len() > GZIP_HEADER_LIMIT => return Err("the header is too long".to_owned()),
                    None => input.len(),
                };
                Ok(Step { read, written: 0, ended: false })
            }
            GzipPart::Body => {
                let before = (self.inflate.total_in(), self.inflate.total_out());
                let status =
                    self.inflate.decompress(input, output, FlushDecompress::None).map_err(|error| error.to_string())?;
                let (read, written) =
                    ((self.inflate.total_in() - before.0) as usize, (self.inflate.total_out() - before.1) as usize);
                self.checksum.update(&output[..written]);
                if status == flate2::Status::StreamEnd {
                    self.part = GzipPart::Trailer;
                }
                Ok(Step { read, written, ended: false })
            }
            GzipPart::Trailer => {
                let read = input.len().min(8 - self.pending.len());
                self.pending.extend_from_slice(&input[..read]);
                let Some((sum, length)) = self.pending.first_chunk::<8>().map(|bytes| bytes.split_at(4)) else {
                    return Ok(Step { read, written: 0, ended: false });
                };
                if sum != self.checksum.sum().to_le_bytes() || length != self.checksum.amount().to_le_bytes() {
                    return Err("the checksum does not match".to_owned());
                }
                Ok(Step { read, written: 0, ended: true })
            }
        }
    }
}

/// The length of a gzip header at the start of `bytes`, `None` while it is incomplete.
fn gzip_header_length(bytes: &[u8]) -> Result<Option<usize>, String> {
    if bytes.iter().zip([0x1F, 0x8B, 8]).any(|(byte, magic)| *byte != magic) {
        return Err("these bytes are not a gzip member".to_owned());
    }
    let Some(flags) = bytes.get(3) else { return Ok(None) };
    let mut length = 10;
    if flags & 4 != 0 {
        let Some(extra) = bytes.get(length..length + 2) else { return Ok(None) };
        length += 2 + usize::from(u16::from_le_bytes([extra[0], extra[1]]));
    }
    for text_flag in [8, 16] {
        if flags & text_flag != 0 {
            let Some(end) = bytes.get(length..).and_then(|rest| memchr::memchr(0, rest)) else { return Ok(None) };
            length += end + 1;
        }
    }
    if flags & 2 != 0 {
        length += 2;
    }
    Ok((bytes.len() >= length).then_some(length))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn compress(compression: Compression, plain: &[u8]) -> Vec<u8> {
        let mut output = Vec::new();
        match compression {
            Compression::None => output.extend_from_slice(plain),
            Compression::Gzip => {
                let mut writer = flate2::GzBuilder::new()
                    .filename("a.csv")
                    .extra([1, 2])
                    .write(&mut output, flate2::Compression::default());
                writer.write_all(plain).expect("compressing into memory");
            }
            Compression::Zstd => zstd::stream::copy_encode(plain, &mut output, 3).expect("compressing into memory"),
            Compression::Bzip2 => {
                let mut writer = bzip2::write::BzEncoder::new(&mut output, bzip2::Compression::default());
                writer.write_all(plain).expect("compressing into memory");
            }
            Compression::Xz => {
                let mut writer = liblzma::write::XzEncoder::new(&mut output, 6);
                writer.write_all(plain).expect("compressing into memory");
                writer.finish().expect("compressing into memory");
            }
        }
        output
    }

    fn decompress(compression: Compression, packed: &[u8], chunk: usize, limit: usize) -> Result<Vec<u8>, CsvError> {
        let mut decompressor = Decompressor::new(compression)?;
        let (mut plain, mut piece) = (Vec::new(), Vec::new());
        for mut input in packed.chunks(chunk) {
            loop {
                piece.clear();
                input = &input[decompressor.decompress(input, &mut piece, limit)?..];
                assert!(piece.len() <= limit);
                plain.extend_from_slice(&piece);
                if piece.len() < limit {
                    assert!(input.is_empty());
                    break;
                }
            }
        }
        decompressor.finish().map(|()| plain)
    }

    const ALL: [Compression; 5] =
        [Compression::None, Compression::Gzip, Compression::Zstd, Compression::Bzip2, Compression::Xz];

    #[test]
    fn members_and_chunks() {
        let plain: Vec<u8> = (0..20_000_u32).flat_map(|number| format!("{number},x\n").into_bytes()).collect();
        for compression in ALL {
            let mut packed = compress(compression, &plain);
            packed.extend(compress(compression, b"second"));
            let expected = [&plain[..], b"second"].concat();
            for (chunk, limit) in [(1, 7), (1000, 100), (usize::MAX, 1 << 20), (1 << 16, 1 << 12)] {
                assert_eq!(
                    decompress(compression, &packed, chunk, limit).as_ref(),
                    Ok(&expected),
                    "{compression:?} {chunk} {limit}"
                );
            }
            assert_eq!(Compression::detect("x", &packed), compression);
            assert_eq!(Compression::detect(&format!("x{}", compression.suffix()), b""), compression);
        }
    }

    #[test]
    fn damage_is_an_error() {
        let plain = vec![b'a'; 100_000];
        for compression in &ALL[1..] {
            let packed = compress(*compression, &plain);
            assert!(
                decompress(*compression, &packed[..packed.len() - 3], 1000, 1 << 20).is_err(),
                "{compression:?} cut off"
            );
            assert!(
                decompress(*compression, &[&packed[..], b"trailing rubbish"].concat(), 1000, 1 << 20).is_err(),
                "{compression:?} rubbish"
            );
            let mut padded = packed.clone();
            padded.extend([0; 8]);
            assert_eq!(decompress(*compression, &padded, 1000, 1 << 20), Ok(plain.clone()), "{compression:?} padded");
        }
        let mut flipped = compress(Compression::Gzip, &plain);
        let checksum = flipped.len() - 8;
        flipped[checksum] ^= 1;
        assert!(decompress(Compression::Gzip, &flipped, 1000, 1 << 20).is_err());
    }

    #[test]
    fn a_bomb_comes_out_in_bounded_pieces() {
        let packed = compress(Compression::Gzip, &vec![0; 64 << 20]);
        let mut decompressor = Decompressor::new(Compression::Gzip).expect("a decompressor");
        let (mut input, mut piece, mut total) = (&packed[..], Vec::new(), 0);
        loop {
            piece.clear();
            input = &input[decompressor.decompress(input, &mut piece, 1 << 16).expect("a sound stream")..];
            assert!(piece.capacity() <= 1 << 18);
            total += piece.len();
            if piece.len() < 1 << 16 {
                break;
            }
        }
        assert_eq!(total, 64 << 20);
    }
}
