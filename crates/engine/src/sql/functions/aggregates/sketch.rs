//! How many different values there are, estimated from their hashes in 64 small registers: the same number as DuckDB's.
//! Not here: the hashes (`utility::hash`).
//! Called by `aggregates`.

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue, plan_err};

use super::field;
use crate::sql::functions::toolkit::aggregate::{Aggregate, Fold, Group, folded};
use crate::sql::functions::toolkit::{Function, aggregate};
use crate::sql::functions::utility::hashes;

/// How many bits of a hash choose the register.
const CHOICE: u32 = 6;
/// How many registers there are.
const REGISTERS: usize = 1 << CHOICE;
/// How many bits of a hash are left.
const REST: usize = 64 - CHOICE as usize;
/// How many registers are packed into one number of a state, which holds them all exactly.
const PACKED: usize = 8;

pub(super) fn functions() -> Vec<Function> {
    vec![aggregate(&["approx_count_distinct"], "about how many different values there are", Different)]
}

struct Different;

impl Aggregate for Different {
    fn coerce(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [_] => Ok(types.to_vec()),
            _ => plan_err!("one argument is expected"),
        }
    }

    fn result(&self, _: &[FieldRef]) -> Result<Field> {
        Ok(field(DataType::Int64))
    }

    fn finish(&self, group: &Group<'_>) -> Result<ScalarValue> {
        folded(self, group)
    }

    fn fold(&self, fields: &[FieldRef], _: &Field) -> Option<Box<dyn Fold>> {
        let field = FieldRef::clone(fields.first()?);
        Some(Box::new(Sketch { field, registers: [0; REGISTERS] }))
    }
}

/// For each register, the longest run of zeros that a hash of it has shown, plus one.
#[derive(Debug)]
struct Sketch {
    field: FieldRef,
    registers: [u8; REGISTERS],
}

impl Sketch {
    fn raise(&mut self, register: usize, run: u8) {
        self.registers[register] = self.registers[register].max(run);
    }

    /// Ertl's estimate, which needs no corrections for few or many values (arXiv:1702.01284).
    fn estimate(&self) -> f64 {
        const BIAS: f64 = 0.721_347_520_444_481_7;
        let registers = REGISTERS as f64;
        let mut counts = [0.0; REST + 2];
        for run in self.registers {
            counts[usize::from(run)] += 1.0;
        }
        let mut sum = registers * tau((registers - counts[REST + 1]) / registers);
        for count in counts[1..=REST].iter().rev() {
            sum = 0.5 * (sum + count);
        }
        sum += registers * sigma(counts[0] / registers);
        BIAS * registers * registers / sum
    }
}

impl Fold for Sketch {
    fn update(&mut self, columns: &[ArrayRef]) -> Result<()> {
        for hash in hashes(&self.field, &columns[0])? {
            let rest = hash >> CHOICE | 1 << REST;
            self.raise(hash as usize % REGISTERS, rest.trailing_zeros() as u8 + 1);
        }
        Ok(())
    }

    fn state(&self) -> Vec<f64> {
        let pack = |runs: &[u8]| runs.iter().fold(0, |packed, run| packed << CHOICE | u64::from(*run)) as f64;
        self.registers.chunks(PACKED).map(pack).collect()
    }

    fn merge(&mut self, state: &[f64]) {
        for (chunk, packed) in state.iter().enumerate() {
            let mut packed = *packed as u64;
            for place in (0..PACKED).rev() {
                self.raise(chunk * PACKED + place, (packed % REGISTERS as u64) as u8);
                packed >>= CHOICE;
            }
        }
    }

    fn finish(&self) -> Result<ScalarValue> {
        Ok(ScalarValue::Int64(Some(self.estimate().round() as i64)))
    }
}

/// What registers that are full add to the estimate.
fn tau(share: f64) -> f64 {
    if share == 0.0 || share == 1.0 {
        return 0.0;
    }
    let (mut root, mut weight, mut sum) = (share, 1.0, 1.0 - share);
    loop {
        root = root.sqrt();
        weight *= 0.5;
        let before = sum;
        sum -= (1.0 - root).powi(2) * weight;
        if sum == before {
            return sum / 3.0;
        }
    }
}

/// What registers that are empty add to the estimate.
fn sigma(share: f64) -> f64 {
    if share == 1.0 {
        return f64::INFINITY;
    }
    let (mut power, mut weight, mut sum) = (share, 1.0, share);
    loop {
        power *= power;
        let before = sum;
        sum += power * weight;
        weight += weight;
        if sum == before {
            return sum;
        }
    }
}
