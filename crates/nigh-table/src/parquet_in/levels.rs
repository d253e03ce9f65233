//! Repetition and definition levels looked at as they are encoded, run by run: of even lists without nulls they say nothing that
//! has to be written out for each value.

/// Values one after the other in Parquet's hybrid of runs and packed bits.
enum Run<'a> {
    Same { value: u8, count: usize },
    Packed { bytes: &'a [u8], count: usize },
}

struct Runs<'a> {
    bytes: &'a [u8],
    width: usize,
    left: usize,
}

impl<'a> Runs<'a> {
    fn header(&mut self) -> Option<usize> {
        let (mut header, mut shift) = (0u64, 0);
        loop {
            let (&byte, rest) = self.bytes.split_first()?;
            self.bytes = rest;
            header |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return usize::try_from(header).ok();
            }
            shift += 7;
            if shift > 28 {
                return None;
            }
        }
    }

    /// The next run; None where the bytes end too early.
    fn next(&mut self) -> Option<Run<'a>> {
        let header = self.header()?;
        let count = (header >> 1).min(self.left);
        if header & 1 == 0 {
            let (&value, rest) = self.bytes.split_first()?;
            self.bytes = rest;
            self.left -= count;
            return (count > 0).then_some(Run::Same { value, count });
        }
        // Groups of eight values; writers may leave out the bytes behind the last value.
        let count = (header >> 1).checked_mul(8)?.min(self.left);
        let length = ((header >> 1) * self.width).min(self.bytes.len());
        let (bytes, rest) = self.bytes.split_at(length);
        self.bytes = rest;
        self.left -= count;
        (count > 0 && bytes.len() * 8 >= count * self.width).then_some(Run::Packed { bytes, count })
    }
}

/// True if `count` levels below 8 are all `max`.
pub(super) fn all_are(bytes: &[u8], max: i16, count: usize) -> bool {
    let width = (16 - max.leading_zeros()) as usize;
    let mut runs = Runs { bytes, width, left: count };
    while runs.left > 0 {
        let even = match runs.next() {
            None => false,
            Some(Run::Same { value, .. }) => i16::from(value) == max,
            Some(Run::Packed { bytes, count }) => (0..count).all(|i| packed(bytes, i * width, width) == max as u16),
        };
        if !even {
            return false;
        }
    }
    true
}

fn packed(bytes: &[u8], bit: usize, width: usize) -> u16 {
    let word = u16::from_le_bytes([bytes[bit / 8], bytes.get(bit / 8 + 1).copied().unwrap_or(0)]);
    (word >> (bit % 8)) & ((1 << width) - 1)
}

/// True if rows begin (level 0) at each multiple of `dim` and nowhere else (level 1), where the first level stands at `at`.
pub(super) fn rows_are_even(bytes: &[u8], at: usize, dim: usize, count: usize) -> bool {
    let mut runs = Runs { bytes, width: 1, left: count };
    let mut at = at % dim;
    while runs.left > 0 {
        match runs.next() {
            Some(Run::Same { value: 0, count }) => {
                if at != 0 || (count > 1 && dim > 1) {
                    return false;
                }
                at = 1 % dim;
            }
            Some(Run::Same { value: 1, count }) => {
                if at == 0 || at + count > dim {
                    return false;
                }
                at = (at + count) % dim;
            }
            Some(Run::Packed { bytes, count }) => {
                for i in 0..count {
                    if (bytes[i / 8] >> (i % 8)) & 1 != u8::from(at != 0) {
                        return false;
                    }
                    at = if at + 1 == dim { 0 } else { at + 1 };
                }
            }
            _ => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Runs of `runs` values, packed or repeated as `shapes` has it.
    fn encode(levels: &[u8], width: usize, shapes: &[bool]) -> Vec<u8> {
        let (mut out, mut at) = (Vec::new(), 0);
        let mut shape = shapes.iter().cycle();
        while at < levels.len() {
            let same = levels[at..].iter().take_while(|&&level| level == levels[at]).count();
            if *shape.next().unwrap() {
                out.extend(varint(same << 1));
                out.push(levels[at]);
                at += same;
                continue;
            }
            let groups = levels[at..].len().div_ceil(8).min(3);
            let mut bits = vec![0u8; groups * width];
            let taken = &levels[at..(at + groups * 8).min(levels.len())];
            for (i, level) in taken.iter().enumerate() {
                for bit in 0..width {
                    let to = i * width + bit;
                    bits[to / 8] |= ((level >> bit) & 1) << (to % 8);
                }
            }
            out.extend(varint(groups << 1 | 1));
            out.extend(bits);
            at += taken.len();
        }
        out
    }

    fn varint(mut value: usize) -> Vec<u8> {
        let mut out = Vec::new();
        while value >= 0x80 {
            out.push(value as u8 | 0x80);
            value >>= 7;
        }
        out.push(value as u8);
        out
    }

    proptest! {
        #[test]
        fn rows_are_told_by_their_levels(
            levels in prop::collection::vec(0u8..2, 1..80), dim in 1usize..6, at in 0usize..6,
            shapes in prop::collection::vec(any::<bool>(), 1..5),
        ) {
            let even = levels.iter().enumerate().all(|(i, &level)| (level == 0) == ((at + i) % dim == 0));
            prop_assert_eq!(rows_are_even(&encode(&levels, 1, &shapes), at, dim, levels.len()), even);
        }

        #[test]
        fn even_rows_are_even(
            rows in 1usize..300, dim in 1usize..20, at in 0usize..20, shapes in prop::collection::vec(any::<bool>(), 1..5),
            wrong in prop::option::of(any::<prop::sample::Index>()),
        ) {
            let mut levels: Vec<u8> = (0..rows * dim).map(|i| u8::from((at + i) % dim != 0)).collect();
            if let Some(wrong) = &wrong {
                levels[wrong.index(rows * dim)] ^= 1;
            }
            prop_assert_eq!(rows_are_even(&encode(&levels, 1, &shapes), at, dim, levels.len()), wrong.is_none());
        }

        #[test]
        fn nulls_are_told_by_their_levels(
            max in 1i16..8, count in 1usize..200, shapes in prop::collection::vec(any::<bool>(), 1..5),
            wrong in prop::option::of((any::<prop::sample::Index>(), 0u8..7)),
        ) {
            let mut levels = vec![max as u8; count];
            if let Some((place, level)) = &wrong {
                levels[place.index(count)] = level % max as u8;
            }
            let width = (16 - max.leading_zeros()) as usize;
            prop_assert_eq!(all_are(&encode(&levels, width, &shapes), max, count), wrong.is_none());
        }
    }

    #[test]
    fn what_ends_too_early_is_not_even() {
        assert!(!all_are(&[], 1, 1));
        assert!(!all_are(&[0x80], 1, 1));
        assert!(!all_are(&[2], 1, 1));
        assert!(!rows_are_even(&[3], 0, 2, 4));
        assert!(!rows_are_even(&[0, 1], 0, 2, 4));
    }
}
