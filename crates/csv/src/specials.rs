//! Finds the bytes of a text that structure it: delimiters, quotes, escapes, line breaks.
//! What they mean where they stand is decided in `scanner` and `skipper`.
//! Used by both to pass over all other bytes quickly.

/// Finds the positions of structuring bytes, 64 bytes at a time.
pub(crate) struct Specials<'a> {
    data: &'a [u8],
    needles: [u8; 4],
    /// Start of the block that `mask` describes.
    block: usize,
    /// One bit per byte of the block that is special and not yet passed.
    mask: u64,
}

impl<'a> Specials<'a> {
    /// Begins at `position`.
    pub(crate) fn new(data: &'a [u8], position: usize, needles: [u8; 4]) -> Specials<'a> {
        let mut specials = Specials { data, needles, block: 0, mask: 0 };
        specials.rewind(position);
        specials
    }

    /// Goes on at `position`, which lies ahead.
    #[inline]
    pub(crate) fn seek(&mut self, position: usize) {
        if position & !63 != self.block {
            self.load(position & !63);
        }
        self.mask &= !lower_bits(position & 63);
    }

    /// Goes back to `position`.
    pub(crate) fn rewind(&mut self, position: usize) {
        self.load(position & !63);
        self.mask &= !lower_bits(position & 63);
    }

    /// The position of the next structuring byte.
    #[inline]
    pub(crate) fn next(&mut self) -> Option<usize> {
        while self.mask == 0 {
            let block = self.block + 64;
            if block >= self.data.len() {
                return None;
            }
            self.load(block);
        }
        let position = self.block + self.mask.trailing_zeros() as usize;
        self.mask &= self.mask - 1;
        Some(position)
    }

    // Called once for many bytes: kept out of line, so that what is called for every field is small.
    #[inline(never)]
    fn load(&mut self, block: usize) {
        self.block = block;
        let rest = self.data.get(block..).unwrap_or_default();
        self.mask = match rest.first_chunk::<64>() {
            Some(chunk) => special_bits(chunk, self.needles),
            None => {
                let mut chunk = [0; 64];
                chunk[..rest.len()].copy_from_slice(rest);
                special_bits(&chunk, self.needles) & lower_bits(rest.len())
            }
        };
    }
}

/// The lowest `count` bits, `count` below 64.
fn lower_bits(count: usize) -> u64 {
    (1 << count) - 1
}

/// One bit for every byte of the block that is a line break or one of the needles. Written so that the compiler turns it into vector compares.
#[inline]
fn special_bits(chunk: &[u8; 64], needles: [u8; 4]) -> u64 {
    let mut flags = [0_u8; 64];
    for (flag, byte) in flags.iter_mut().zip(chunk) {
        let needle = u8::from(*byte == needles[0])
            | u8::from(*byte == needles[1])
            | u8::from(*byte == needles[2])
            | u8::from(*byte == needles[3]);
        *flag = needle | u8::from(*byte == b'\n') | u8::from(*byte == b'\r');
    }
    let mut bits = 0;
    for (index, group) in flags.as_chunks::<8>().0.iter().enumerate() {
        // Multiplying gathers the eight flag bytes into the top byte, the first one lowest.
        let gathered = u64::from_le_bytes(*group).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        bits |= gathered << (index * 8);
    }
    bits
}
