//! Items down the first splits of a tree, all of them in one pass.

use super::layout::{AnnoyMetric, Layout};
use super::plane::{Plane, bit, flip};
use super::source::Source;
use super::whole::{Products, for_each_products};
use crate::control::{Control, Result, check};
use crate::kernel::lanes::{Lanes, dot, for_each_lanes};
use crate::memory::prefetch;
use rayon::prelude::*;

/// Splits, the root first, and the parts that they lead to. A child is a split's number, or !part.
#[derive(Default)]
pub(super) struct Top {
    pub planes: Vec<Plane>,
    pub children: Vec<[i32; 2]>,
    pub num_parts: usize,
}

impl Top {
    pub fn add_part(&mut self) -> i32 {
        self.num_parts += 1;
        !(self.num_parts as i32 - 1)
    }

    pub fn add_split(&mut self, plane: Plane) -> i32 {
        self.planes.push(plane);
        self.children.push([0; 2]);
        self.planes.len() as i32 - 1
    }

    pub fn set_children(&mut self, split: i32, children: [i32; 2]) {
        self.children[split as usize] = children;
    }
}

/// The splits as routing reads them: one array each, and normals as long as rows are.
pub(super) struct Router<'a> {
    top: &'a Top,
    layout: Layout,
    normals: Vec<f32>,
    offsets: Vec<f32>,
    /// Of inner products, the normals along the extra dimension.
    extra: Vec<f32>,
    flips: Vec<u64>,
    /// Of rows of bytes, instead of the normals: where rows are on the right, see [`BytePlane`](super::whole::BytePlane).
    bytes: Vec<i8>,
    limits: Vec<(i32, bool)>,
}

/// Rows that take a step at a time: what one waits for, the others compute.
const TOGETHER: usize = 16;
/// Rows of a piece of work.
const PIECE: usize = 8192;

impl<'a> Router<'a> {
    /// For rows of a source: where they are bytes, the planes are of such rows.
    pub fn new(source: &Source, top: &'a Top) -> Router<'a> {
        let layout = &source.layout;
        let numbers = layout.numbers();
        let (is_bits, is_whole) = (layout.metric == AnnoyMetric::Hamming, source.whole.is_some());
        let normals =
            top.planes.iter().filter(|_| !is_bits && !is_whole).flat_map(|plane| &plane.normal[..numbers]).copied();
        let along = |plane: &Plane| plane.normal[numbers];
        Router {
            top,
            layout: *layout,
            normals: normals.collect(),
            offsets: top.planes.iter().map(|plane| plane.offset).collect(),
            extra: match layout.metric {
                AnnoyMetric::Dot => top.planes.iter().map(along).collect(),
                _ => Vec::new(),
            },
            flips: top.planes.iter().map(Plane::flips).collect(),
            bytes: top.planes.iter().filter(|_| is_whole).flat_map(|plane| &plane.bytes.normal).copied().collect(),
            limits: top.planes.iter().map(|plane| (plane.bytes.limit, plane.bytes.touches)).collect(),
        }
    }

    /// The part of each row.
    pub fn route(&self, source: &Source, numbers: &[u32], out: &mut [u32]) {
        let (mut at, mut extras, mut ids) = ([0i32; TOGETHER], [0f32; TOGETHER], [0u32; TOGETHER]);
        let (mut rows, mut bytes) = (Vec::with_capacity(TOGETHER), Vec::with_capacity(TOGETHER));
        for (numbers, out) in numbers.chunks(TOGETHER).zip(out.chunks_mut(TOGETHER)) {
            if !source.extra.is_empty() {
                extras.iter_mut().zip(numbers).for_each(|(extra, &n)| *extra = source.extra[n as usize]);
            }
            ids.iter_mut().zip(numbers).for_each(|(id, &number)| *id = source.id(number));
            let at = &mut at[..numbers.len()];
            if let Some(whole) = &source.whole {
                bytes.clear();
                bytes.extend(numbers.iter().map(|&number| whole.row(number)));
                bytes_down(self, &bytes, &ids, at);
                out.iter_mut().zip(at).for_each(|(out, at)| *out = !*at as u32);
                continue;
            }
            rows.clear();
            rows.extend(numbers.iter().map(|&number| source.row(number)));
            match self.layout.metric {
                AnnoyMetric::Hamming => self.bits_down(&rows, at),
                _ => down(self, &rows, &extras, &ids, at),
            }
            out.iter_mut().zip(at).for_each(|(out, at)| *out = !*at as u32);
        }
    }

    fn bits_down(&self, rows: &[&[f32]], at: &mut [i32]) {
        for (row, at) in rows.iter().zip(at) {
            *at = if self.top.planes.is_empty() { !0 } else { 0 };
            while let Ok(node) = usize::try_from(*at) {
                *at = self.top.children[node][usize::from(bit(row, self.top.planes[node].bit))];
            }
        }
    }
}

/// For each router the rows of each of its parts, in their order.
pub(super) fn parts(
    routers: &[Router],
    source: &Source,
    numbers: &[u32],
    control: &dyn Control,
) -> Result<Vec<Vec<Vec<u32>>>> {
    // Piece by piece, and in each of them router by router.
    let mut routes = vec![0u32; routers.len() * numbers.len()];
    let pieces = numbers.par_chunks(PIECE).zip(routes.par_chunks_mut(routers.len() * PIECE));
    pieces.try_for_each(|(numbers, routes)| {
        check(control)?;
        // So few rows that they are in the first cache when the next router reads them.
        for at in (0..numbers.len()).step_by(TOGETHER) {
            let end = numbers.len().min(at + TOGETHER);
            let after = &numbers[end..numbers.len().min(end + TOGETHER)];
            match &source.whole {
                Some(whole) => after.iter().for_each(|&number| whole.prefetch(number)),
                None => after.iter().for_each(|&number| prefetch(source.row(number))),
            }
            for (router, routes) in routers.iter().zip(routes.chunks_exact_mut(numbers.len())) {
                router.route(source, &numbers[at..end], &mut routes[at..end]);
            }
        }
        Ok(())
    })?;
    let of_router = |(i, router): (usize, &Router)| {
        let pieces = numbers.chunks(PIECE).zip(routes.chunks(routers.len() * PIECE));
        let routed = || {
            pieces
                .clone()
                .flat_map(|(numbers, routes)| numbers.iter().zip(&routes[i * numbers.len()..][..numbers.len()]))
        };
        let mut counts = vec![0usize; router.top.num_parts];
        routed().for_each(|(_, &part)| counts[part as usize] += 1);
        let mut parts: Vec<Vec<u32>> = counts.into_iter().map(Vec::with_capacity).collect();
        routed().for_each(|(&number, &part)| parts[part as usize].push(number));
        parts
    };
    Ok(routers.par_iter().enumerate().map(of_router).collect())
}

/// # Safety
/// As for [`Lanes`].
#[inline(always)]
unsafe fn down_body<L: Lanes>(router: &Router, rows: &[&[f32]], extras: &[f32], ids: &[u32], at: &mut [i32]) {
    let dim = router.layout.numbers();
    at.fill(if router.top.planes.is_empty() { !0 } else { 0 });
    let mut moving: [u8; TOGETHER] = std::array::from_fn(|i| i as u8);
    let mut num_moving = if router.top.planes.is_empty() { 0 } else { rows.len() };
    while num_moving > 0 {
        let mut left = 0;
        for place in 0..num_moving {
            let i = moving[place] as usize;
            let node = at[i] as usize;
            // SAFETY: the caller's; both are rows of one length.
            let along = unsafe { dot::<L>(&rows[i][..dim], &router.normals[node * dim..][..dim]) };
            let mut margin = along + router.offsets[node];
            if let Some(extra) = router.extra.get(node) {
                margin += extra * extras[i];
            }
            // No branch, which would be guessed wrong half of the time; there is one for what hardly happens.
            let mut side = usize::from(margin > 0.0);
            if margin == 0.0 {
                side = usize::from(flip(router.flips[node], ids[i]));
            }
            at[i] = router.top.children[node][side];
            moving[left] = i as u8;
            left += usize::from(at[i] >= 0);
        }
        num_moving = left;
    }
}

for_each_lanes! {
    /// Takes rows down all splits, a step at a time.
    fn down(router: &Router, rows: &[&[f32]], extras: &[f32], ids: &[u32], at: &mut [i32]) = down_body;
}

/// # Safety
/// As for [`Products`].
#[inline(always)]
unsafe fn bytes_down_body<P: Products>(router: &Router, rows: &[&[u8]], ids: &[u32], at: &mut [i32]) {
    at.fill(if router.top.planes.is_empty() { !0 } else { 0 });
    let Some(stride) = rows.first().map(|row| row.len()).filter(|_| !router.top.planes.is_empty()) else { return };
    let mut moving: [u8; TOGETHER] = std::array::from_fn(|i| i as u8);
    let mut num_moving = rows.len();
    while num_moving > 0 {
        let mut left = 0;
        for start in (0..num_moving).step_by(4) {
            let four: [usize; 4] = std::array::from_fn(|i| moving[(start + i).min(num_moving - 1)] as usize);
            let normal = |i: usize| router.bytes[at[i] as usize * stride..][..stride].as_ptr();
            // SAFETY: the caller's; rows and normals have a stride.
            let along = unsafe { P::four(four.map(|i| rows[i][..stride].as_ptr()), four.map(normal), stride) };
            for (&i, along) in four.iter().zip(along).take(num_moving - start) {
                let node = at[i] as usize;
                let (limit, touches) = router.limits[node];
                let mut side = usize::from(along > limit);
                if along == limit && touches {
                    side = usize::from(flip(router.flips[node], ids[i]));
                }
                at[i] = router.top.children[node][side];
                moving[left] = i as u8;
                left += usize::from(at[i] >= 0);
            }
        }
        num_moving = left;
    }
}

for_each_products! {
    /// The same of rows of bytes.
    fn bytes_down(router: &Router, rows: &[&[u8]], ids: &[u32], at: &mut [i32]) = bytes_down_body;
}
