//! The nodes of Annoy 1.17.3: where each metric keeps what, in words of 4 bytes.

use crate::comparison::{Bits, Comparison, Numbers, Products};
use crate::metric::{Metric, dot, squared_l2};

/// The metrics that Annoy has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnnoyMetric {
    /// Of directions: sqrt(2 - 2 cos).
    Angular,
    Euclidean,
    Manhattan,
    /// Inner product, larger is nearer.
    Dot,
    /// Of bits.
    Hamming,
}

impl AnnoyMetric {
    pub const ALL: [AnnoyMetric; 5] =
        [AnnoyMetric::Angular, AnnoyMetric::Euclidean, AnnoyMetric::Manhattan, AnnoyMetric::Dot, AnnoyMetric::Hamming];

    /// By Annoy's own name.
    pub fn parse(name: &str) -> Option<AnnoyMetric> {
        AnnoyMetric::ALL.into_iter().find(|metric| metric.name() == name)
    }

    pub fn name(self) -> &'static str {
        match self {
            AnnoyMetric::Angular => "angular",
            AnnoyMetric::Euclidean => "euclidean",
            AnnoyMetric::Manhattan => "manhattan",
            AnnoyMetric::Dot => "dot",
            AnnoyMetric::Hamming => "hamming",
        }
    }

    /// The metric whose trees find neighbors for this comparison; None where Annoy has none.
    pub fn of(comparison: Comparison) -> Option<AnnoyMetric> {
        match comparison {
            Comparison::Products(Products { centred: true, .. }) => None,
            Comparison::Products(Products { metric: Metric::L2, .. }) => Some(AnnoyMetric::Euclidean),
            Comparison::Products(Products { metric: Metric::Cosine, .. }) => Some(AnnoyMetric::Angular),
            Comparison::Products(Products { metric: Metric::Dot, .. }) => Some(AnnoyMetric::Dot),
            Comparison::Numbers(Numbers::L1) => Some(AnnoyMetric::Manhattan),
            Comparison::Bits(Bits::Hamming) => Some(AnnoyMetric::Hamming),
            _ => None,
        }
    }

    /// How nigh compares items of such a file.
    pub fn comparison(self) -> Comparison {
        match self {
            AnnoyMetric::Angular => Metric::Cosine.into(),
            AnnoyMetric::Euclidean => Metric::L2.into(),
            AnnoyMetric::Manhattan => Comparison::Numbers(Numbers::L1),
            AnnoyMetric::Dot => Metric::Dot.into(),
            AnnoyMetric::Hamming => Comparison::Bits(Bits::Hamming),
        }
    }
}

/// How nodes of one metric and dimension are laid out.
///
/// A row is what nigh takes for one: `numbers()` floats, or under hamming packed bits, 32 in the place of a float.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    pub metric: AnnoyMetric,
    /// Numbers of a vector; under hamming, bits.
    pub dim: usize,
}

impl Layout {
    pub fn new(metric: AnnoyMetric, dim: usize) -> Layout {
        Layout { metric, dim }
    }

    /// Of rows of so many numbers (words of 32 bits).
    pub fn of_rows(metric: AnnoyMetric, numbers: usize) -> Layout {
        Layout { metric, dim: if metric == AnnoyMetric::Hamming { 32 * numbers } else { numbers } }
    }

    /// Floats, or words of 32 bits, of a row.
    pub fn numbers(&self) -> usize {
        if self.metric == AnnoyMetric::Hamming { self.dim.div_ceil(32) } else { self.dim }
    }

    /// Words of a node's vector: Annoy's bits come in words of 64.
    pub fn vector_words(&self) -> usize {
        if self.metric == AnnoyMetric::Hamming { 2 * self.dim.div_ceil(64) } else { self.dim }
    }

    /// Where a node's children start, or the ids of a leaf.
    pub fn children_at(&self) -> usize {
        match self.metric {
            AnnoyMetric::Euclidean | AnnoyMetric::Manhattan => 2,
            _ => 1,
        }
    }

    /// Where its vector starts.
    pub fn vector_at(&self) -> usize {
        if self.metric == AnnoyMetric::Angular { 3 } else { 4 }
    }

    /// Words of a node.
    pub fn node_words(&self) -> usize {
        self.vector_at() + self.vector_words()
    }

    pub fn node_bytes(&self) -> usize {
        4 * self.node_words()
    }

    /// The most ids that a leaf has room for (K).
    pub fn leaf_ids(&self) -> usize {
        self.node_words() - self.children_at()
    }

    /// Writes an item's node, which was zero. `largest_norm2` is the largest squared norm of all items.
    pub(super) fn write_item(&self, row: &[f32], largest_norm2: f64, node: &mut [u32]) {
        node[0] = 1;
        match self.metric {
            AnnoyMetric::Angular => node[1] = (dot(row, row) as f32).to_bits(),
            AnnoyMetric::Dot => node[3] = ((largest_norm2 - dot(row, row)).max(0.0).sqrt() as f32).to_bits(),
            _ => {}
        }
        node[self.vector_at()..].iter_mut().zip(row).for_each(|(word, x)| *word = x.to_bits());
    }

    /// The distance as Annoy's caller sees it, of rows (numbers, or bits): dot is the product itself.
    pub fn distance(&self, a: &[f32], b: &[f32]) -> f32 {
        match self.metric {
            AnnoyMetric::Angular => {
                let norms2 = dot(a, a) * dot(b, b);
                let cosine = if norms2 > 0.0 { dot(a, b) / norms2.sqrt() } else { 0.0 };
                (2.0 - 2.0 * cosine).max(0.0).sqrt() as f32
            }
            AnnoyMetric::Euclidean => squared_l2(a, b).sqrt() as f32,
            AnnoyMetric::Dot => dot(a, b) as f32,
            AnnoyMetric::Manhattan | AnnoyMetric::Hamming => self.metric.comparison().distance(a, b, 0.0, 0.0),
        }
    }
}

/// Packs numbers into bits as Annoy does: one above 0.5 is set, dimension j being bit j % 32 of word j / 32.
pub fn pack_bits(numbers: &[f32], dim: usize) -> Vec<f32> {
    let words = |row: &[f32]| -> Vec<f32> {
        let word = |part: &[f32]| part.iter().rev().fold(0u32, |word, &x| word << 1 | u32::from(x > 0.5));
        row.chunks(32).map(|part| f32::from_bits(word(part))).collect()
    };
    numbers.chunks_exact(dim.max(1)).flat_map(words).collect()
}
