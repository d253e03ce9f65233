//! What kept lists hold of each row.

/// The codes of kept lists: bytes a number of a row, beside a few of a row, and how well they tell rows apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ListCodes {
    /// A byte a number: the codes of joins.
    #[default]
    Int8,
    /// Half a byte.
    Int4,
    /// A bit.
    Bit1,
}

impl ListCodes {
    pub fn parse(name: &str) -> Option<ListCodes> {
        [ListCodes::Int8, ListCodes::Int4, ListCodes::Bit1].into_iter().find(|codes| codes.name() == name)
    }

    pub fn name(self) -> &'static str {
        match self {
            ListCodes::Int8 => "int8",
            ListCodes::Int4 => "int4",
            ListCodes::Bit1 => "bit1",
        }
    }

    pub fn bits(self) -> u32 {
        match self {
            ListCodes::Int8 => 8,
            ListCodes::Int4 => 4,
            ListCodes::Bit1 => 1,
        }
    }

    /// Of packed codes.
    pub(super) fn of_bits(bits: u64) -> Option<ListCodes> {
        match bits {
            4 => Some(ListCodes::Int4),
            1 => Some(ListCodes::Bit1),
            _ => None,
        }
    }

    /// Candidates that are kept for k neighbors out of so many lists. How many of them are rescored, the error bound says: of one bit it
    /// leaves the more rows the more are scanned, and the fewer bits a row has.
    pub(super) fn most_rescored(self, k: usize, nprobe: usize, dim: usize) -> usize {
        match self {
            ListCodes::Int8 => (2 * k).max(k + 22),
            ListCodes::Int4 => (2 * k).max(k + 14),
            ListCodes::Bit1 => (3 * k + 20 + (k + 10) * nprobe / 24) * 128 / dim.clamp(16, 128),
        }
    }

    /// The length of a row's code beside that of its error, at most: what the rounding of a query counts.
    pub(super) fn rounding(self) -> f32 {
        match self {
            ListCodes::Bit1 => 2.0,
            _ => 16.0,
        }
    }
}
