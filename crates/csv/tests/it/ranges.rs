//! Decoders of ranges together read what one decoder reads, wherever the file is cut.

use std::ops::Range;

use proptest::collection::vec;
use proptest::prelude::*;
use tapline_csv::{CsvOptions, Decoder, Fit, Sample, Seam, TableFormat, detect};

use crate::support::{options, rows_of};

fn read_range(bytes: &[u8], format: &TableFormat, options: &CsvOptions, range: Range<u64>, exact: bool) -> Decoder {
    let decoder = Decoder::new("t.csv", format, options).expect("a decoder");
    let start = range.start as usize;
    let mut decoder =
        if exact { decoder.with_exact_range(bytes, range) } else { decoder.with_range(bytes, range) }.expect("a range");
    for piece in bytes[start..].chunks(7) {
        decoder.push(piece).expect("readable bytes");
        if decoder.is_done() {
            break;
        }
    }
    decoder.finish().expect("readable bytes");
    decoder
}

/// Reads a file cut at the given places; also tells how many ranges had to be read again.
fn read_cut(
    bytes: &[u8],
    format: &TableFormat,
    options: &CsvOptions,
    cuts: &[usize],
) -> (Vec<Vec<String>>, Vec<(u64, u64)>, usize) {
    let mut bounds: Vec<u64> =
        cuts.iter().map(|cut| (*cut).min(bytes.len()) as u64).chain([0, bytes.len() as u64]).collect();
    bounds.sort_unstable();
    bounds.dedup();
    let (mut rows, mut rejects, mut seam, mut again) = (Vec::new(), Vec::new(), Seam::default(), 0);
    for pair in bounds.windows(2) {
        let range = pair[0]..pair[1];
        let mut decoder = read_range(bytes, format, options, range.clone(), false);
        match seam.fit(&range, &decoder) {
            Fit::Covered => continue,
            Fit::Sound => {}
            Fit::From(next) => {
                decoder = read_range(bytes, format, options, next..range.end, true);
                again += 1;
            }
        }
        rows.extend(std::iter::from_fn(|| decoder.next_batch()).flat_map(|batch| rows_of(&batch)));
        let found = decoder.take_rejects();
        rejects.extend(found.into_iter().map(|reject| (reject.line + seam.lines(), reject.byte_offset)));
        seam.join(&decoder);
    }
    (rows, rejects, again)
}

fn detected(bytes: &[u8], options: &CsvOptions) -> TableFormat {
    detect(&[Sample { name: "t.csv", bytes, complete: true }], options).expect("a table").format
}

#[test]
fn every_cut_of_a_file_with_quoted_line_breaks() {
    let text =
        "\u{feff}# note\nid,text,n\n1,\"a\r\n2,\"\"b\"\"\nc\",5\r\n2,plain,6\r\n3\n4,\"x\n\n\",7\n\n5,\"tail\",8\n";
    let options = options(r#"{"delim": ",", "quote": "\""}"#);
    let format = detected(text.as_bytes(), &options);
    let (rows, rejects, _) = read_cut(text.as_bytes(), &format, &options, &[]);
    assert_eq!((rows.len(), rejects.len()), (4, 1));
    for cut in 1..text.len() {
        for other in [cut, cut + 1, cut + 9] {
            let (again, rejected, _) = read_cut(text.as_bytes(), &format, &options, &[cut, other]);
            assert_eq!((&again, &rejected), (&rows, &rejects), "cut at {cut} and {other}");
        }
    }
}

#[test]
fn guesses_are_right_on_ordinary_tables() {
    let mut text = "id,note,n\n".to_owned();
    for id in 0..2000 {
        text += &format!("{id},\"line one\nline, two {id}\n\",{}\n", id * 7);
    }
    let options = options("{}");
    let format = detected(text.as_bytes(), &options);
    let cuts: Vec<usize> = (1..40).map(|part| part * text.len() / 40).collect();
    let (rows, rejects, again) = read_cut(text.as_bytes(), &format, &options, &cuts);
    assert_eq!((rows.len(), rejects.len(), again), (2000, 0, 0));
}

#[test]
fn ranges_need_utf8_and_a_header() {
    let options = options(r#"{"encoding": "utf-16le", "header": true}"#);
    let bytes: Vec<u8> = "a,b\n1,2\n3,4\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let format = detected(&bytes, &options);
    assert!(Decoder::new("t.csv", &format, &options).expect("a decoder").with_range(&bytes, 10..20).is_err());
    let options = CsvOptions::default();
    let format = detected(b"a,b\n1,2\n3,4\n", &options);
    assert!(Decoder::new("t.csv", &format, &options).expect("a decoder").with_range(b"", 10..20).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_cut_anywhere(bytes in vec(prop::sample::select(b"a1,\"\n\r #".to_vec()), 1..200), cuts in vec(0_usize..200, 0..4)) {
        let options = options(r#"{"delim": ",", "quote": "\"", "header": true, "columns": {"h": "VARCHAR", "k": "VARCHAR"}}"#);
        let bytes = [b"h,k\n", bytes.as_slice()].concat();
        let format = detected(&bytes, &options);
        let (rows, rejects, _) = read_cut(&bytes, &format, &options, &[]);
        let (again, rejected, _) = read_cut(&bytes, &format, &options, &cuts);
        prop_assert_eq!(again, rows);
        prop_assert_eq!(rejected, rejects);
    }
}
