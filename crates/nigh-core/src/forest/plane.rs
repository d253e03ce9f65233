//! Planes that part items in two, found as Annoy finds them: two centroids of a sample, each the mean of what was nearer to it,
//! weighted by how many that is so that the sides are balanced.

use super::layout::AnnoyMetric;
use super::means::Means;
use super::source::Gathered;
use super::whole::{BytePlane, products};
use crate::cluster::rng::Rng;
use crate::kernel::lanes::{Lanes, WIDTH, dot, for_each_lanes, l1, squared_l2};

/// What parts the items of a node. Items on the positive side go to child1; those on the plane itself to either, by a hash.
pub(super) struct Plane {
    /// A unit vector, padded as gathered rows are; zeros where items are parted at random. None of bits.
    pub normal: Vec<f32>,
    pub offset: f32,
    /// Of bits: the one that decides. Numbered as rows have them.
    pub bit: u32,
    /// Of rows of bytes: the same plane for them.
    pub bytes: BytePlane,
    flips: u64,
}

/// How many items the centroids are drawn along. Annoy's number.
const STEPS: usize = 200;
/// Planes tried, before items are parted at random, for a more balanced one.
const ATTEMPTS: usize = 3;
const UNBALANCED: f64 = 0.95;
const HOPELESS: f64 = 0.99;
/// Bits tried at random before all are, one after the other.
const BITS_TRIED: usize = 20;

/// Buffers of one thread.
#[derive(Default)]
pub(super) struct Scratch {
    margins: Vec<f32>,
    products: Vec<i32>,
    means: Means,
    right: Vec<u32>,
    draws: Vec<u32>,
    p: Vec<f32>,
    q: Vec<f32>,
}

impl Plane {
    /// The seed of what happens to items on the plane.
    pub fn flips(&self) -> u64 {
        self.flips
    }

    /// What was kept of one: not for rows of bytes.
    pub fn of(normal: Vec<f32>, offset: f32, bit: u32, flips: u64) -> Plane {
        Plane { normal, offset, bit, bytes: BytePlane::default(), flips }
    }

    /// No plane at all: everything is on it.
    pub fn nowhere() -> Plane {
        Plane { normal: Vec::new(), offset: 0.0, bit: 0, bytes: BytePlane::default(), flips: 0 }
    }

    fn random(rows: &Gathered, flips: u64) -> Plane {
        let bytes = match rows.is_whole() {
            true => BytePlane { normal: vec![0; rows.stride], limit: 0, touches: true },
            false => BytePlane::default(),
        };
        Plane { normal: vec![0.0; rows.stride], offset: 0.0, bit: 0, bytes, flips }
    }
}

pub(super) fn mix(a: u64, b: u64) -> u64 {
    Rng::new(a ^ b.wrapping_mul(0xd6e8_feb8_6659_fd93)).next()
}

/// A coin thrown for an item.
#[inline(always)]
pub(super) fn flip(flips: u64, id: u32) -> bool {
    mix(flips, id as u64) >> 63 == 1
}

/// Parts `members` (places in `rows`, at least two): those of child0 come first, both in the order they had. Returns the plane and
/// how many go to child0, which is never none nor all.
pub(super) fn part(rows: &Gathered, members: &mut [u32], seed: u64, scratch: &mut Scratch) -> (Plane, usize) {
    let mut rng = Rng::new(seed);
    let imbalance = |left: usize| left.max(members.len() - left) as f64 / members.len() as f64;
    let mut found = None;
    for _ in 0..ATTEMPTS {
        let plane = match rows.metric {
            AnnoyMetric::Hamming => bit_plane(rows, members, &mut rng),
            _ if rows.is_whole() => between_sums(rows, members, &mut rng, scratch),
            _ => between_means(rows, members, &mut rng, scratch),
        };
        let left = margins(rows, members, &plane, scratch);
        let fine = imbalance(left) < UNBALANCED;
        found = Some((plane, left));
        if fine {
            break;
        }
    }
    let (mut plane, mut left) = found.expect("tried at least once");
    while imbalance(left) > HOPELESS {
        plane = Plane::random(rows, rng.next());
        scratch.margins.clear();
        scratch.margins.extend(members.iter().map(|&m| side_as_margin(flip(plane.flips, rows.ids[m as usize]))));
        left = scratch.margins.iter().filter(|&&margin| margin <= 0.0).count();
    }
    split_stably(members, &scratch.margins, &mut scratch.right);
    (plane, left)
}

fn side_as_margin(side: bool) -> f32 {
    if side { 1.0 } else { -1.0 }
}

/// Margins of members, none 0; returns how many are negative.
fn margins(rows: &Gathered, members: &[u32], plane: &Plane, scratch: &mut Scratch) -> usize {
    let out = &mut scratch.margins;
    out.resize(members.len(), 0.0);
    if rows.metric == AnnoyMetric::Hamming {
        for (out, &m) in out.iter_mut().zip(members) {
            *out = side_as_margin(bit(rows.row(m), plane.bit));
        }
    } else if rows.is_whole() {
        let BytePlane { normal, limit, touches } = &plane.bytes;
        scratch.products.resize(members.len(), 0);
        products(&rows.bytes, members, normal, &mut scratch.products);
        let below = i32::from(!touches);
        out.iter_mut().zip(&scratch.products).for_each(|(out, &x)| *out = (2 * (x - limit) - below) as f32);
    } else {
        margins_of(&rows.data, rows.stride, members, &plane.normal, plane.offset, out);
    }
    let mut left = 0;
    for (out, &m) in out.iter_mut().zip(members) {
        if *out == 0.0 {
            *out = side_as_margin(flip(plane.flips, rows.ids[m as usize]));
        }
        left += usize::from(*out <= 0.0);
    }
    left
}

#[inline(always)]
pub(super) fn bit(row: &[f32], bit: u32) -> bool {
    row[bit as usize / 32].to_bits() >> (bit % 32) & 1 == 1
}

fn split_stably(members: &mut [u32], margins: &[f32], right: &mut Vec<u32>) {
    right.resize(members.len(), 0);
    let (mut l, mut r) = (0, 0);
    for i in 0..members.len() {
        let (member, goes_right) = (members[i], margins[i] > 0.0);
        // Both are written, and one of them counts: a branch would be guessed wrong half of the time.
        members[l] = member;
        right[r] = member;
        l += usize::from(!goes_right);
        r += usize::from(goes_right);
    }
    members[l..].copy_from_slice(&right[..r]);
}

/// A bit that is set in some members and not in others; bit 0 where all are equal.
fn bit_plane(rows: &Gathered, members: &[u32], rng: &mut Rng) -> Plane {
    let bits = 32 * rows.stride;
    let parts = |at: usize| {
        let first = bit(rows.row(members[0]), at as u32);
        members.iter().any(|&m| bit(rows.row(m), at as u32) != first)
    };
    let tried = (0..BITS_TRIED).map(|_| rng.below(bits)).find(|&at| parts(at));
    let at = tried.or_else(|| (0..bits).find(|&at| parts(at))).unwrap_or(0);
    Plane { bit: at as u32, flips: rng.next(), ..Plane::nowhere() }
}

/// Where two means start, and the rows that they are drawn along.
fn draw(members: &[u32], rng: &mut Rng, draws: &mut Vec<u32>) -> [u32; 2] {
    let n = members.len();
    let i = rng.below(n);
    let j = rng.below(n - 1);
    let j = j + usize::from(j >= i);
    draws.clear();
    draws.extend((0..STEPS).map(|_| members[rng.below(n)]));
    [members[i], members[j]]
}

/// The same of rows of bytes.
fn between_sums(rows: &Gathered, members: &[u32], rng: &mut Rng, scratch: &mut Scratch) -> Plane {
    let both = draw(members, rng, &mut scratch.draws);
    scratch.means.find(&rows.bytes, rows.stride, both, &scratch.draws);
    let Some((bytes, middle)) = scratch.means.plane() else { return Plane::random(rows, rng.next()) };
    let (mut norm2, mut sum) = (0i64, 0i64);
    for &x in &bytes.normal {
        norm2 += x as i64 * x as i64;
        sum += x as i64;
    }
    let by = 1.0 / (norm2 as f64).sqrt();
    let normal = bytes.normal.iter().map(|&x| (x as f64 * by) as f32).collect();
    let offset = (-(middle + rows.base as f64 * sum as f64) * by) as f32;
    Plane { normal, offset, bytes, flips: rng.next(), ..Plane::nowhere() }
}

/// The plane in the middle between two means.
fn between_means(rows: &Gathered, members: &[u32], rng: &mut Rng, scratch: &mut Scratch) -> Plane {
    let [first, second] = draw(members, rng, &mut scratch.draws);
    let Scratch { draws, p, q, .. } = scratch;
    p.clear();
    p.extend_from_slice(rows.row(first));
    q.clear();
    q.extend_from_slice(rows.row(second));
    means_of(rows.metric, &rows.data, rows.stride, draws, p, q);
    let mut normal: Vec<f32> = p.iter().zip(q.iter()).map(|(p, q)| p - q).collect();
    let norm = normal.iter().map(|&x| x as f64 * x as f64).sum::<f64>().sqrt();
    if norm > 0.0 {
        normal.iter_mut().for_each(|x| *x = (*x as f64 / norm) as f32);
    }
    let offset = match rows.metric {
        AnnoyMetric::Euclidean | AnnoyMetric::Manhattan => {
            let middle = |(n, (p, q)): (&f32, (&f32, &f32))| *n as f64 * (*p as f64 + *q as f64) / 2.0;
            -normal.iter().zip(p.iter().zip(q.iter())).map(middle).sum::<f64>() as f32
        }
        _ => 0.0,
    };
    Plane { normal, offset, flips: rng.next(), ..Plane::nowhere() }
}

/// # Safety
/// As for [`Lanes`].
#[inline(always)]
unsafe fn margins_body<L: Lanes>(
    rows: &[f32],
    stride: usize,
    members: &[u32],
    normal: &[f32],
    offset: f32,
    out: &mut [f32],
) {
    let normal = &normal[..stride];
    for (out, &m) in out.iter_mut().zip(members) {
        // SAFETY: the caller's; both have a stride.
        *out = offset + unsafe { dot::<L>(&rows[m as usize * stride..][..stride], normal) };
    }
}

/// Rows that are compared with the means before these move: one after the other, each would wait for the last.
const AT_ONCE: usize = 4;

/// Moves a mean towards rows, one after the other, by a part of the way each. All are of whole lanes.
///
/// # Safety
/// As for [`Lanes`].
#[inline(always)]
unsafe fn approach<L: Lanes>(mean: &mut [f32], rows: &[&[f32]; AT_ONCE], parts: &[f32; AT_ONCE]) {
    let len = mean.len();
    assert!(len.is_multiple_of(WIDTH) && rows.iter().all(|row| row.len() == len));
    // SAFETY: the caller's; within all of them.
    unsafe {
        for i in (0..len).step_by(WIDTH) {
            let mut at = L::load(mean.as_ptr().add(i));
            for r in 0..AT_ONCE {
                at = at.add(L::load(rows[r].as_ptr().add(i)).sub(at).mul(L::splat(parts[r])));
            }
            at.store(mean.as_mut_ptr().add(i));
        }
    }
}

/// Two means: each drawn row joins the nearer, nearness counting less the more have joined.
///
/// # Safety
/// As for [`Lanes`].
#[inline(always)]
unsafe fn means_body<L: Lanes>(
    metric: AnnoyMetric,
    rows: &[f32],
    stride: usize,
    draws: &[u32],
    p: &mut [f32],
    q: &mut [f32],
) {
    let (mut of_p, mut of_q) = (1f32, 1f32);
    for draws in draws.as_chunks::<AT_ONCE>().0 {
        // No closures where there is arithmetic: they would not be compiled for the level.
        let drawn: [&[f32]; AT_ONCE] = std::array::from_fn(|i| &rows[draws[i] as usize * stride..][..stride]);
        // SAFETY: the caller's; all have a stride.
        unsafe {
            let norms2 = match metric {
                AnnoyMetric::Euclidean | AnnoyMetric::Manhattan => [1.0; 2],
                _ => [dot::<L>(p, p), dot::<L>(q, q)],
            };
            let (mut to_p, mut to_q) = ([0f32; AT_ONCE], [0f32; AT_ONCE]);
            for r in 0..AT_ONCE {
                let row = drawn[r];
                (to_p[r], to_q[r]) = match metric {
                    AnnoyMetric::Euclidean => (squared_l2::<L>(row, p), squared_l2::<L>(row, q)),
                    AnnoyMetric::Manhattan => (l1::<L>(row, p), l1::<L>(row, q)),
                    // Of unit rows. A zero row is as far from both, and would pull the smaller side to 0: it is left out.
                    _ if dot::<L>(row, row) == 0.0 => (0.0, 0.0),
                    _ => (1.0 - dot::<L>(row, p) / norms2[0].sqrt(), 1.0 - dot::<L>(row, q) / norms2[1].sqrt()),
                };
            }
            // Both move towards all, by nothing where a row is the other's: a branch would be guessed wrong half of the time.
            for r in 0..AT_ONCE {
                let (far_p, far_q) = (of_p * to_p[r], of_q * to_q[r]);
                let (joins_p, joins_q) = (f32::from(u8::from(far_p < far_q)), f32::from(u8::from(far_q < far_p)));
                (to_p[r], to_q[r]) = (joins_p / (of_p + 1.0), joins_q / (of_q + 1.0));
                of_p += joins_p;
                of_q += joins_q;
            }
            approach::<L>(p, &drawn, &to_p);
            approach::<L>(q, &drawn, &to_q);
        }
    }
}

for_each_lanes! {
    /// `offset + normal . row` of each member.
    fn margins_of(rows: &[f32], stride: usize, members: &[u32], normal: &[f32], offset: f32, out: &mut [f32]) = margins_body;
}
for_each_lanes! {
    fn means_of(metric: AnnoyMetric, rows: &[f32], stride: usize, draws: &[u32], p: &mut [f32], q: &mut [f32]) = means_body;
}
