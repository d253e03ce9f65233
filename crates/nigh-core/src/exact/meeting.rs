//! A block of queries and the groups of rows: which of them a query sees first, and what it need still see then.

use super::groups::{Groups, SPAN, WIDTH};
use crate::kernel::{MIN_KEY_I8, PANEL, Sink};
use crate::parallel::for_each_level;

/// Groups near a query that it sees first.
pub(super) const NEAR: usize = 4;

/// The score of a group that the query has seen; no true one is so small.
const SEEN: i32 = i32::MIN;

pub(super) struct Meeting<'a> {
    groups: &'a Groups,
    is_dot: bool,
    /// `[slot][group]`.
    scores: Vec<i32>,
    /// The nearest groups of each slot and their scores; SEEN where there are fewer.
    near: Vec<[(i32, u32); NEAR]>,
    /// Of each query's codes.
    norms2: Vec<i32>,
    /// All of a group's panels: one bit each.
    all: Vec<u64>,
}

/// Keeps all scores.
struct Scores {
    scores: Vec<i32>,
    stride: usize,
}

impl Sink for Scores {
    #[inline(always)]
    fn threshold(&self, _slot: usize) -> i32 {
        MIN_KEY_I8
    }
    #[inline(always)]
    fn push(&mut self, slot: usize, first_group: u32, keys: &[i32; PANEL], _mask: u64) {
        let first = first_group as usize;
        let len = PANEL.min(self.stride - first);
        self.scores[slot * self.stride + first..][..len].copy_from_slice(&keys[..len]);
    }
}

impl<'a> Meeting<'a> {
    /// Of queries as offset codes of the rows' kind.
    pub fn new(groups: &'a Groups, queries: &[u8], is_dot: bool) -> Meeting<'a> {
        let (n, stride) = (queries.len() / groups.dim(), groups.stride);
        let mut sink = Scores { scores: vec![SEEN; n * stride], stride };
        groups.scan_centres(queries, &mut sink);
        let scores = sink.scores;
        let near = scores.chunks_exact(stride).map(|scores| nearest(&scores[..groups.len()], groups, is_dot)).collect();
        let norm2 = |q: &[u8]| q.iter().map(|&c| (c as i32 - 128) * (c as i32 - 128)).sum();
        let norms2 = queries.chunks_exact(groups.dim()).map(norm2).collect();
        let bits = |group: usize| u64::MAX.checked_shr((WIDTH - groups.panels_of(group).len()) as u32).unwrap_or(0);
        let all = (0..stride).map(|group| if group < groups.len() { bits(group) } else { 0 }).collect();
        Meeting { groups, is_dot, scores, near, norms2, all }
    }

    /// The nearest group of each query.
    pub fn homes(&self) -> impl Iterator<Item = u32> {
        self.near.iter().map(|near| near[0].1)
    }

    /// The slots by their `rank`-th nearest group, as (group, slot) in order; they have seen those groups by then.
    pub fn take_near(&mut self, rank: usize) -> Vec<(u32, u32)> {
        let mut taken = Vec::new();
        for (slot, near) in self.near.iter().enumerate() {
            let (score, group) = near[rank];
            if score != SEEN {
                taken.push((group, slot as u32));
                self.scores[slot * self.groups.stride + group as usize] = SEEN;
            }
        }
        taken.sort_unstable();
        taken
    }

    /// Which panels of the groups of a span each slot has to see, as bits in `[group of the span][slot]`. `threshold` is the
    /// least score of a slot that matters, i32::MAX if none does.
    pub fn look(&self, span: usize, threshold: impl Fn(usize) -> i32, wanted: &mut [u64]) {
        let (groups, n) = (self.groups, self.near.len());
        let all: &[u64; SPAN] = self.all[span * SPAN..][..SPAN].try_into().expect("a span");
        let unit = 1.0 / (1u64 << groups.shift) as f32;
        for slot in 0..n {
            let scores = self.scores[slot * groups.stride + span * SPAN..][..SPAN].try_into().expect("a span");
            let least = threshold(slot);
            let mut bits = [0; SPAN];
            if least != i32::MAX {
                let (home_score, home) = self.near[slot][0];
                let place = home as usize * groups.stride + span * SPAN;
                let ahead = Ahead {
                    between: groups.between[place..][..SPAN].try_into().expect("a span"),
                    most: groups.most[place..][..SPAN].try_into().expect("a span"),
                    reach: groups.reach[place * WIDTH..][..SPAN * WIDTH].as_chunks().0.try_into().expect("a span"),
                };
                let within = if self.is_dot { f32::MAX } else { within(self.norms2[slot], least) };
                reached(scores, home_score, within, unit, ahead, all, &mut bits);
            }
            for (group, bits) in bits.into_iter().enumerate() {
                wanted[group * n + slot] = bits;
            }
        }
    }
}

/// The nearest groups by score, those of the largest products where products are sought.
fn nearest(scores: &[i32], groups: &Groups, is_dot: bool) -> [(i32, u32); NEAR] {
    let mut near = [(SEEN, 0u32); NEAR];
    let rank = |score: i32, group: u32| if is_dot { score.saturating_add(groups.half[group as usize]) } else { score };
    let mut least = SEEN;
    for (group, &score) in (0u32..).zip(scores) {
        if rank(score, group) > least {
            let mut at = NEAR - 1;
            near[at] = (score, group);
            while at > 0 && rank(near[at].0, near[at].1) > rank(near[at - 1].0, near[at - 1].1) {
                near.swap(at, at - 1);
                at -= 1;
            }
            least = rank(near[NEAR - 1].0, near[NEAR - 1].1);
        }
    }
    near
}

/// The distance (rounded up) beyond which no row's score reaches `least`: a score is half of what the squared distance lacks of
/// the query's squared norm, rounded down.
fn within(norm2: i32, least: i32) -> f32 {
    if least == MIN_KEY_I8 {
        return f32::MAX;
    }
    ((norm2 as f64 - 2.0 * least as f64).max(0.0).sqrt() as f32).next_up()
}

/// A span of groups as seen from a home.
#[derive(Clone, Copy)]
struct Ahead<'a> {
    between: &'a [f32; SPAN],
    most: &'a [i16; SPAN],
    reach: &'a [[i16; WIDTH]; SPAN],
}

#[inline(always)]
fn reached_body(
    scores: &[i32; SPAN],
    home_score: i32,
    within: f32,
    unit: f32,
    ahead: Ahead,
    all: &[u64; SPAN],
    wanted: &mut [u64; SPAN],
) {
    let (mut cuts, mut any) = ([0i16; SPAN], [false; SPAN]);
    for g in 0..SPAN {
        let farther = home_score.wrapping_sub(scores[g]) as f32;
        // A unit less, since this is rounded; what does not fit is cut off on the safe side.
        let cut = ((farther - ahead.between[g] * within) * unit - 1.0).floor();
        cuts[g] = cut.max(i16::MIN as f32).min(i16::MAX as f32) as i16;
        any[g] = (ahead.most[g] >= cuts[g]) & (scores[g] != SEEN);
    }
    for g in 0..SPAN {
        if any[g] {
            let mut bits = 0u64;
            for p in 0..WIDTH {
                bits |= ((ahead.reach[g][p] >= cuts[g]) as u64) << p;
            }
            wanted[g] = bits & all[g];
        }
    }
}

for_each_level! {
    /// The panels of a span that reach as far as a query's neighbors may be.
    fn reached(
        scores: &[i32; SPAN],
        home_score: i32,
        within: f32,
        unit: f32,
        ahead: Ahead,
        all: &[u64; SPAN],
        wanted: &mut [u64; SPAN],
    ) = reached_body;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::rng::Rng;
    use crate::kernel::panel::bias_i8;
    use crate::metric::Metric;

    /// Codes near `centres` of them, all equal if there is one and no `spread`.
    fn codes(n: usize, dim: usize, centres: usize, spread: usize, rng: &mut Rng) -> Vec<i8> {
        let middle: Vec<i32> = (0..centres * dim).map(|_| rng.below(201) as i32 - 100).collect();
        let mut out = Vec::new();
        for _ in 0..n {
            let centre = rng.below(centres) * dim;
            let near = middle[centre..][..dim].iter();
            out.extend(near.map(|&c| (c + rng.below(2 * spread + 1) as i32 - spread as i32).clamp(-128, 127) as i8));
        }
        out
    }

    fn key(query: &[i8], row: &[i8]) -> i32 {
        let product: i32 = query.iter().zip(row).map(|(&q, &x)| q as i32 * x as i32).sum();
        product - (row.iter().map(|&x| x as i32 * x as i32).sum::<i32>() + 1) / 2
    }

    /// Of all pairs of a query and a panel, those that are seen. Panics where a row that matters is not.
    fn seen(rows: &[i8], dim: usize, queries: &[i8], k: usize, metric: Metric) -> (usize, usize) {
        let (n, num_queries) = (rows.len() / dim, queries.len() / dim);
        let bias: Vec<i32> = rows.chunks_exact(dim).map(|row| bias_i8(row, metric == Metric::L2)).collect();
        let (groups, _) = Groups::new(rows, &bias, n, dim);
        let mut order = groups.order.clone();
        order.sort_unstable();
        assert!(order.iter().copied().eq(0..n as u32));
        let offset: Vec<u8> = queries.iter().map(|&c| c as u8 ^ 0x80).collect();
        let mut meeting = Meeting::new(&groups, &offset, metric == Metric::Dot);
        let num_panels = groups.panels_of(groups.len() - 1).end;
        let mut sees = vec![0; num_queries * num_panels];
        for rank in 0..NEAR {
            for (group, slot) in meeting.take_near(rank) {
                groups.panels_of(group as usize).for_each(|p| sees[slot as usize * num_panels + p] += 1);
            }
        }
        let row = |place: usize| &rows[groups.order[place] as usize * dim..][..dim];
        let least: Vec<i32> = (queries.chunks_exact(dim))
            .map(|q| {
                let mut keys: Vec<i32> = (0..n).map(|place| key(q, row(place))).collect();
                keys.sort_unstable_by(|a, b| b.cmp(a));
                keys[k.min(n) - 1]
            })
            .collect();
        let mut wanted = vec![0; SPAN * num_queries];
        for span in 0..groups.stride / SPAN {
            meeting.look(span, |slot| least[slot], &mut wanted);
            for group in span * SPAN..groups.len().min((span + 1) * SPAN) {
                for (slot, &bits) in wanted[group % SPAN * num_queries..][..num_queries].iter().enumerate() {
                    for (bit, p) in groups.panels_of(group).enumerate() {
                        sees[slot * num_panels + p] += (bits >> bit & 1) as usize;
                    }
                }
            }
        }
        for (slot, query) in queries.chunks_exact(dim).enumerate() {
            for p in 0..num_panels {
                let seen = sees[slot * num_panels + p];
                assert!(seen <= 1, "panel {p} seen twice");
                let matters = (p * PANEL..n.min((p + 1) * PANEL)).any(|place| key(query, row(place)) >= least[slot]);
                assert!(seen == 1 || !matters && metric != Metric::Dot, "panel {p} is skipped by slot {slot}");
            }
        }
        (sees.iter().sum(), sees.len())
    }

    #[test]
    fn no_panel_with_a_neighbor_is_skipped() {
        let mut rng = Rng::new(3);
        for (n, dim, centres, spread, num_queries) in [
            (1, 8, 1, 0, 3),
            (47, 8, 5, 3, 20),
            (49, 12, 1, 0, 5),
            (700, 8, 1, 0, 5),
            (3000, 8, 1, 1, 50),
            (3000, 40, 7, 127, 50),
            // Larger than a group can be: parted.
            (20_000, 8, 2, 2, 50),
            (9000, 16, 60, 9, 200),
        ] {
            let rows = codes(n, dim, centres, spread, &mut rng);
            let mut queries = rows[..rows.len().min(num_queries / 2 * dim)].to_vec();
            queries.extend(codes(num_queries - num_queries / 2, dim, 3, 60, &mut rng));
            for k in [1, 10] {
                for metric in [Metric::L2, Metric::Dot] {
                    let (seen, all) = seen(&rows, dim, &queries, k, metric);
                    assert!(seen <= all && (metric != Metric::Dot || seen == all));
                }
            }
        }
    }

    #[test]
    fn most_panels_of_other_clusters_are_skipped() {
        let mut rng = Rng::new(5);
        let rows = codes(9000, 16, 60, 9, &mut rng);
        let (seen, all) = seen(&rows, 16, &rows[..100 * 16], 10, Metric::L2);
        assert!(seen * 4 < all, "{seen} of {all}");
    }
}
