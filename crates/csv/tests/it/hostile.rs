//! Input that means harm: memory stays bounded, and what cannot be read is a reject or a clear error.

use std::io::Write;

use tapline_csv::{Compression, Decoder, Decompressor, RejectCode, Sample, TableFormat, detect};

use crate::support::{options, read, read_with, rows_of};

const MEGABYTE: usize = 1 << 20;

/// The most memory this process ever held, in bytes; `None` where the system does not tell.
fn peak_memory() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.trim().parse::<usize>().ok()? * 1024)
}

fn two_columns() -> TableFormat {
    let head = b"id,text\n1,a\n2,b\n";
    detect(&[Sample { name: "t.csv", bytes: head, complete: false }], &options("{}")).expect("a table").format
}

/// Reads a head, so many megabytes of a filler and a tail; gives the rows and the codes of the rejects.
fn read_filled(
    settings: &str,
    filler: u8,
    megabytes: usize,
    tail: &[u8],
) -> (Vec<Vec<String>>, Vec<(u64, RejectCode)>) {
    let mut decoder = Decoder::new("t.csv", &two_columns(), &options(settings)).expect("a decoder");
    let block = vec![filler; MEGABYTE];
    let before = peak_memory();
    decoder.push(b"id,text\n1,a\n2,").expect("readable bytes");
    let mut rows = Vec::new();
    for _ in 0..megabytes {
        decoder.push(&block).expect("readable bytes");
        rows.extend(std::iter::from_fn(|| decoder.next_batch()).flat_map(|batch| rows_of(&batch)));
    }
    decoder.push(tail).expect("readable bytes");
    decoder.finish().expect("readable bytes");
    rows.extend(std::iter::from_fn(|| decoder.next_batch()).flat_map(|batch| rows_of(&batch)));
    if let (Some(before), Some(after)) = (before, peak_memory()) {
        let grown = (after - before) / MEGABYTE;
        assert!(grown < 100, "reading a line of {megabytes} MiB took {grown} MiB");
    }
    (rows, decoder.take_rejects().iter().map(|reject| (reject.line, reject.code)).collect())
}

#[test]
fn a_line_of_a_gigabyte() {
    let rows = |texts: [[&str; 2]; 2]| texts.map(|row| row.map(str::to_owned).to_vec()).to_vec();
    let expected = (rows([["1", "a"], ["3", "c"]]), vec![(3, RejectCode::LineTooLong)]);
    assert_eq!(read_filled("{}", b'x', 1024, b"\n3,c\n"), expected);
    assert_eq!(read_filled(r#"{"strict": false}"#, b'"', 100, b"\n3,c\n"), expected);
}

#[test]
fn delimiters_without_end() {
    let (rows, rejects) = read_filled(r#"{"max_line_size": 1000000}"#, b',', 100, b"\n3,c\n");
    assert_eq!((rows.len(), rejects), (2, vec![(3, RejectCode::LineTooLong)]));
}

#[test]
fn line_breaks_without_end() {
    let (rows, rejects) = read_filled("{}", b'\n', 100, b"3,c\n");
    assert_eq!((rows.len(), rejects), (3, vec![]));
}

#[test]
fn a_quote_that_is_never_closed() {
    let mut text = b"id,text\n1,a\n2,\"".to_vec();
    text.extend(b"3,c\n".repeat(30_000));
    let table = read(&text);
    assert_eq!(table.counts.lines_in(), (table.rows.len() + table.rejects.len()) as u64);
    assert!(!table.rejects.is_empty(), "the quote went unnoticed: {:?}", table.reasons);
}

#[test]
fn a_small_file_that_unpacks_to_a_gigabyte() {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packed.write_all(b"id,text\n1,a\n2,").expect("a buffer takes everything");
    let zeros = vec![0; MEGABYTE];
    for _ in 0..1024 {
        packed.write_all(&zeros).expect("a buffer takes everything");
    }
    let packed = packed.finish().expect("a buffer takes everything");
    let sample = Compression::Gzip.decompress_prefix(&packed, MEGABYTE).expect("a sample");
    assert_eq!(sample.len(), MEGABYTE);
    let before = peak_memory();
    let mut decompressor = Decompressor::new(Compression::Gzip).expect("a decompressor");
    let mut decoder = Decoder::new("t.csv.gz", &two_columns(), &options("{}")).expect("a decoder");
    let (mut rest, mut text) = (packed.as_slice(), Vec::new());
    loop {
        text.clear();
        let used = decompressor.decompress(rest, &mut text, MEGABYTE).expect("sound data");
        rest = &rest[used..];
        decoder.push(&text).expect("readable bytes");
        if rest.is_empty() && text.len() < MEGABYTE {
            break;
        }
    }
    decoder.finish().expect("readable bytes");
    assert_eq!((decoder.counts().rows, decoder.counts().rejects), (1, 1));
    assert_eq!(decoder.take_rejects()[0].code, RejectCode::LineTooLong);
    if let (Some(before), Some(after)) = (before, peak_memory()) {
        assert!((after - before) / MEGABYTE < 100, "unpacking took {} MiB", (after - before) / MEGABYTE);
    }
}

#[test]
fn bytes_that_are_no_text() {
    let mut text = "id,name\n1,Jürgen\n2,Zoë Ærøskøbing\n".as_bytes().to_vec();
    text.extend(b"3,\xFF\xFE\n4,\"\xC3\n(\"\n5,\0\0\n6,\xED\xA0\x80\n7,ok\n");
    let table = read_with(&text, r#"{"encoding": "utf-8"}"#);
    assert_eq!(table.lines(), ["1|Jürgen", "2|Zoë Ærøskøbing", "5|\0\0", "7|ok"]);
    assert_eq!(table.reject_codes(), [(4, "invalid_encoding"), (5, "invalid_encoding"), (8, "invalid_encoding")]);
}
