//! Inputs that once broke something or reach what others don't, and a bounded search for more.
//! What must hold lives in `targets`; searching for long is done by `cargo run --release --example fuzz -- SECONDS`.

use std::path::Path;

use crate::targets::{Mutator, check};

/// The committed corpus.
fn corpus() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut files: Vec<_> =
        std::fs::read_dir(folder).expect("the corpus").map(|entry| entry.expect("a file").path()).collect();
    files.sort();
    files.iter().map(|file| std::fs::read(file).expect("a readable file")).collect()
}

#[test]
fn the_corpus_holds() {
    let corpus = corpus();
    assert!(corpus.len() > 20);
    for input in corpus {
        for settings in 0..14 {
            check(&[&[settings], input.get(1..).unwrap_or_default()].concat());
        }
    }
}

#[test]
fn a_short_search_finds_nothing() {
    let mut mutator = Mutator::new(1, corpus());
    for _ in 0..1_500 {
        check(&mutator.next());
    }
}
