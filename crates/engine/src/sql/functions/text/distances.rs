//! How far texts are from each other, and how alike.
//! Not here: equality.
//! Called by `text`.

use std::collections::HashSet;

use datafusion::common::{Result, exec_err};

use crate::sql::functions::toolkit::typed::kernel;
use crate::sql::functions::toolkit::types::*;
use crate::sql::functions::toolkit::{Function, typed};

pub(super) fn functions() -> Vec<Function> {
    vec![
        typed(
            &["levenshtein", "editdist3"],
            "how many bytes must change to make one text the other",
            [
                kernel!(|left: Text, right: Text| -> Int => strsim::generic_levenshtein(&Bytes(left), &Bytes(right)) as i64),
            ],
        ),
        typed(
            &["damerau_levenshtein"],
            "as levenshtein, where swapping two neighbours is one change",
            [
                kernel!(|left: Text, right: Text| -> Int => strsim::generic_damerau_levenshtein(left.as_bytes(), right.as_bytes()) as i64),
            ],
        ),
        typed(
            &["hamming", "mismatches"],
            "at how many places two texts of one length differ",
            [kernel!(|left: Text, right: Text| -> Int => hamming(left.as_bytes(), right.as_bytes()))],
        ),
        typed(
            &["jaccard"],
            "the share of the characters of two texts that both have",
            [kernel!(|left: Text, right: Text| -> Double => jaccard(left.as_bytes(), right.as_bytes()))],
        ),
        typed(
            &["jaro_similarity"],
            "how alike two texts are, from 0 to 1; 0 below a cutoff",
            [
                kernel!(|left: Text, right: Text| -> Double => jaro(left, right)),
                kernel!(|left: Text, right: Text, cutoff: Double| -> Double => above(jaro(left, right), cutoff)),
            ],
        ),
        typed(
            &["jaro_winkler_similarity"],
            "as jaro_similarity, favouring texts that begin alike",
            [
                kernel!(|left: Text, right: Text| -> Double => jaro_winkler(left, right)),
                kernel!(|left: Text, right: Text, cutoff: Double| -> Double => above(jaro_winkler(left, right), cutoff)),
            ],
        ),
    ]
}

/// A text whose characters are its bytes.
struct Bytes<'a>(&'a str);

impl<'b> IntoIterator for &Bytes<'b> {
    type Item = u8;
    type IntoIter = std::str::Bytes<'b>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.bytes()
    }
}

fn hamming(left: &[u8], right: &[u8]) -> Result<i64> {
    if left.len() != right.len() || left.is_empty() {
        return exec_err!("the texts must have one length, which is not zero");
    }
    Ok(left.iter().zip(right).filter(|(left, right)| left != right).count() as i64)
}

fn jaccard(left: &[u8], right: &[u8]) -> Result<f64> {
    if left.is_empty() || right.is_empty() {
        return exec_err!("the texts must not be empty");
    }
    let left: HashSet<u8> = left.iter().copied().collect();
    let right: HashSet<u8> = right.iter().copied().collect();
    Ok(left.intersection(&right).count() as f64 / left.union(&right).count() as f64)
}

fn jaro(left: &str, right: &str) -> f64 {
    strsim::generic_jaro(&Bytes(left), &Bytes(right))
}

fn jaro_winkler(left: &str, right: &str) -> f64 {
    /// The prefix counts only where the texts are rather alike already.
    const THRESHOLD: f64 = 0.7;
    let similarity = jaro(left, right);
    if similarity <= THRESHOLD {
        return similarity;
    }
    let prefix = left.bytes().zip(right.bytes()).take(4).take_while(|(left, right)| left == right).count();
    similarity + 0.1 * prefix as f64 * (1.0 - similarity)
}

fn above(similarity: f64, cutoff: f64) -> f64 {
    if similarity >= cutoff { similarity } else { 0.0 }
}
