//! How fast one thread decodes: `cargo run --release --example speed -- [MEGABYTES]`. Counted is the time on the processor where the system
//! tells it, so that other programs matter less.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a measuring program")]

use std::time::{Duration, Instant};

use tapline_csv::{CsvOptions, Decoder, Sample, detect};

fn plain(bytes: usize) -> Vec<u8> {
    let mut text = b"id,name,amount,day,active,note\n".to_vec();
    let mut id: u64 = 0;
    while text.len() < bytes {
        id += 1;
        let mixed = id.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let line = format!(
            "{id},customer {},{}.{:02},2024-{:02}-{:02},{},some words about it {}\n",
            mixed % 5000,
            mixed % 100_000,
            mixed % 100,
            1 + mixed % 12,
            1 + mixed % 28,
            mixed.is_multiple_of(2),
            mixed % 977
        );
        text.extend_from_slice(line.as_bytes());
    }
    text
}

fn quoted(bytes: usize) -> Vec<u8> {
    let mut text = b"id,name,amount,note\n".to_vec();
    let mut id: u64 = 0;
    while text.len() < bytes {
        id += 1;
        let mixed = id.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let line = format!(
            "{id},\"customer, {}\",{}.{:02},\"first line\nsecond \"\"line\"\" {}\"\n",
            mixed % 5000,
            mixed % 100_000,
            mixed % 100,
            mixed % 977
        );
        text.extend_from_slice(line.as_bytes());
    }
    text
}

/// Time this thread has spent on a processor, else the time since `started`.
fn busy(started: Instant) -> Duration {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanoseconds = told.and_then(|text| text.split(' ').next()?.parse().ok());
    nanoseconds.map_or_else(|| started.elapsed(), Duration::from_nanos)
}

fn main() {
    let start = Instant::now();
    let megabytes: usize = std::env::args().nth(1).and_then(|argument| argument.parse().ok()).unwrap_or(200);
    for (name, text) in [("plain", plain(megabytes << 20)), ("quoted", quoted(megabytes << 20))] {
        let options = CsvOptions::default();
        let sample = Sample { name, bytes: &text[..text.len().min(1 << 20)], complete: false };
        let started = Instant::now();
        let format = detect(&[sample], &options).unwrap().format;
        println!(
            "{name}: detected in {:?}: {}",
            started.elapsed(),
            format.columns.iter().map(|column| column.data_type.to_string()).collect::<Vec<_>>().join(" ")
        );
        for (label, projection) in [("all columns", None), ("one column", Some(vec![0])), ("none", Some(vec![]))] {
            let started = busy(start);
            let mut decoder = Decoder::new(name, &format, &options).unwrap();
            if let Some(projection) = projection {
                decoder = decoder.with_projection(projection);
            }
            let mut rows = 0;
            for piece in text.chunks(1 << 20) {
                decoder.push(piece).unwrap();
                while let Some(batch) = decoder.next_batch() {
                    rows += batch.num_rows();
                }
            }
            decoder.finish().unwrap();
            while let Some(batch) = decoder.next_batch() {
                rows += batch.num_rows();
            }
            let seconds = (busy(start) - started).as_secs_f64();
            println!("{name}, {label}: {rows} rows, {:.0} MB/s", text.len() as f64 / 1e6 / seconds);
        }
    }
}
