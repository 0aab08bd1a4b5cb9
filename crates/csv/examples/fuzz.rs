//! Looks for inputs that break the reader: `cargo run --release --example fuzz -- SECONDS [SEED] [FOLDER]`.
//! Inputs that do something new are kept and changed further; with FOLDER they are written there. The one at hand is written to `fuzz-input`
//! in the folder for temporary files, so that it is there after a crash.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a program for developers")]

#[path = "../tests/it/targets.rs"]
mod targets;

use std::collections::HashSet;
use std::path::Path;
use std::time::{Duration, Instant};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number =
        |index: usize, otherwise: u64| arguments.get(index).and_then(|text| text.parse().ok()).unwrap_or(otherwise);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let corpus: Vec<Vec<u8>> =
        std::fs::read_dir(folder).unwrap().map(|entry| std::fs::read(entry.unwrap().path()).unwrap()).collect();
    let seeds = corpus.len();
    let current = std::env::temp_dir().join("fuzz-input");
    let mut mutator = targets::Mutator::new(number(1, 1), corpus);
    let mut seen = HashSet::new();
    let (started, wanted) = (Instant::now(), Duration::from_secs(number(0, 60)));
    let (mut inputs, mut bytes) = (0_u64, 0_u64);
    while started.elapsed() < wanted {
        let input = mutator.next();
        std::fs::write(&current, &input).unwrap();
        if seen.insert(targets::check(&input)) {
            if let Some(folder) = arguments.get(2) {
                std::fs::write(Path::new(folder).join(format!("found-{:06}", seen.len())), &input).unwrap();
            }
            mutator.corpus.push(input.clone());
        }
        inputs += 1;
        bytes += input.len() as u64;
    }
    println!("{inputs} inputs, {bytes} bytes, from {seeds} seeds: {} kinds of outcome, nothing broken", seen.len());
}
