//! Which rows a partition of a snapshot probably holds, in few bytes.
//! Not here: what follows from that (`compare`).
//! Called by the comparison.

use super::RowHash;

/// A set of row hashes that keeps 32 bits of each. It finds every hash that was inserted, and of the others one in a
/// billion.
///
/// Open addressing with linear probing: 32 bits of the hash say where a row belongs, 32 others are kept there. The
/// hash of a row covers its key, since the key is among its mapped fields.
pub(crate) struct Fingerprints {
    /// Zero is an empty slot.
    slots: Vec<u32>,
}

impl Fingerprints {
    /// A set for at most so many rows.
    pub(crate) fn with_capacity(rows: usize) -> Self {
        Self { slots: vec![0; slots(rows as u64) as usize] }
    }

    /// How much memory a set for so many rows takes, in bytes.
    pub(crate) fn bytes(rows: u64) -> u64 {
        slots(rows) * 4
    }

    /// Adds a row.
    pub(crate) fn insert(&mut self, hash: &RowHash) {
        let (mut slot, mark) = self.place(hash);
        while self.slots[slot] != 0 && self.slots[slot] != mark {
            slot = (slot + 1) % self.slots.len();
        }
        self.slots[slot] = mark;
    }

    /// Whether a row is probably there.
    pub(crate) fn contains(&self, hash: &RowHash) -> bool {
        let (mut slot, mark) = self.place(hash);
        while self.slots[slot] != 0 {
            if self.slots[slot] == mark {
                return true;
            }
            slot = (slot + 1) % self.slots.len();
        }
        false
    }

    /// Where a row belongs, and what is kept of it there.
    fn place(&self, hash: &RowHash) -> (usize, u32) {
        let [a, b, c, d, e, f, g, h, ..] = *hash;
        let position = u64::from(u32::from_le_bytes([a, b, c, d]));
        let mark = u32::from_le_bytes([e, f, g, h]).max(1);
        (((position * self.slots.len() as u64) >> 32) as usize, mark)
    }
}

/// Three quarters of the slots are taken at most, and one is always empty.
fn slots(rows: u64) -> u64 {
    rows + rows / 3 + 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diff::rows::hash;

    #[test]
    fn what_was_inserted_is_found_and_hardly_anything_else() {
        let of = |number: u32| hash(&[3; 16], &number.to_le_bytes());
        let mut set = Fingerprints::with_capacity(100_000);
        (0..100_000).for_each(|number| set.insert(&of(number)));
        assert!((0..100_000).all(|number| set.contains(&of(number))));
        assert_eq!((100_000..200_000).filter(|number| set.contains(&of(*number))).count(), 0);
    }

    #[test]
    fn any_number_of_rows_fits() {
        for rows in [0, 1, 2, 3, 7] {
            let mut set = Fingerprints::with_capacity(rows);
            assert!(!set.contains(&[0; 16]));
            (0..rows).for_each(|number| set.insert(&[number as u8; 16]));
            assert!((0..rows).all(|number| set.contains(&[number as u8; 16])));
            assert!(!set.contains(&[99; 16]));
        }
    }
}
