//! Parent trees and branches as bytes: what travels between the places where a forest is built. Each has a name with a version in
//! front and a checksum at its end; docs/format.md describes them.

use super::layout::{AnnoyMetric, Layout};
use super::parent::{Branch, ParentTree};
use super::plane::Plane;
use super::route::Top;
use super::source::Gathered;
use crate::control::{Error, Result};
use crate::format::checksum;

const PARENT: &[u8; 8] = b"nighpar1";
const BRANCH: &[u8; 8] = b"nighbra1";

fn corrupt(what: &str) -> Error {
    let message = format!("bytes of a forest's {what} were changed, cut off, or are of another version");
    Error::File { code: "CORRUPT_INDEX", message }
}

fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let sum = checksum(&bytes);
    bytes.extend(sum.to_le_bytes());
    bytes
}

/// What is between the name and the checksum.
struct Reader<'a> {
    rest: &'a [u8],
    what: &'static str,
}

impl<'a> Reader<'a> {
    fn new(bytes: &'a [u8], name: &[u8; 8], what: &'static str) -> Result<Reader<'a>> {
        let (body, sum) = bytes.split_last_chunk::<8>().ok_or_else(|| corrupt(what))?;
        match body.strip_prefix(name) {
            Some(rest) if checksum(body) == u64::from_le_bytes(*sum) => Ok(Reader { rest, what }),
            _ => Err(corrupt(what)),
        }
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (first, rest) = self.rest.split_first_chunk::<N>().ok_or_else(|| corrupt(self.what))?;
        self.rest = rest;
        Ok(*first)
    }

    fn long(&mut self) -> Result<u64> {
        Ok(u64::from_le_bytes(self.take()?))
    }

    fn word(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.take()?))
    }
}

/// Numbers of a plane: hamming's is a bit.
fn normal_len(layout: &Layout) -> usize {
    if layout.metric == AnnoyMetric::Hamming { 0 } else { Gathered::stride_of(layout) }
}

impl ParentTree {
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = PARENT.to_vec();
        let metric = AnnoyMetric::ALL.iter().position(|&metric| metric == self.layout.metric).expect("one of all");
        let Top { planes, children, num_parts } = &self.top;
        let longs = [metric as u64, self.layout.dim as u64, self.seed, self.largest_norm2.to_bits()];
        longs.iter().chain(&[*num_parts as u64]).for_each(|long| out.extend(long.to_le_bytes()));
        for (plane, children) in planes.iter().zip(children) {
            children.iter().for_each(|child| out.extend(child.to_le_bytes()));
            out.extend(plane.bit.to_le_bytes());
            out.extend(plane.offset.to_le_bytes());
            out.extend(plane.flips().to_le_bytes());
            // A coin's has no meaning, and any length.
            let normal = plane.normal.iter().chain(std::iter::repeat(&0.0)).take(normal_len(&self.layout));
            normal.for_each(|x| out.extend(x.to_le_bytes()));
        }
        sealed(out)
    }

    /// Errors: CORRUPT_INDEX.
    pub fn from_bytes(bytes: &[u8]) -> Result<ParentTree> {
        let mut from = Reader::new(bytes, PARENT, "parent tree")?;
        let wrong = || corrupt("parent tree");
        let metric = *AnnoyMetric::ALL.get(from.long()? as usize).ok_or_else(wrong)?;
        let layout = Layout::new(metric, from.long()? as usize);
        let (seed, largest_norm2) = (from.long()?, f64::from_bits(from.long()?));
        let num_parts = from.long()? as usize;
        let stride = normal_len(&layout);
        let mut top = Top { num_parts, ..Top::default() };
        while !from.rest.is_empty() {
            let children = [from.word()? as i32, from.word()? as i32];
            let (bit, offset, flips) = (from.word()?, f32::from_bits(from.word()?), from.long()?);
            let normal = (0..stride).map(|_| Ok(f32::from_bits(from.word()?))).collect::<Result<Vec<f32>>>()?;
            let at = top.add_split(Plane::of(normal, offset, bit, flips));
            top.set_children(at, children);
        }
        // Splits are numbered before those below them, and there is one part more.
        let num_splits = top.planes.len();
        let fits = |at: usize, child: i32| match usize::try_from(child) {
            Ok(split) => split > at && split < num_splits,
            Err(_) => (!child as usize) < num_parts,
        };
        let is_tree = top.children.iter().enumerate().all(|(at, both)| both.iter().all(|&child| fits(at, child)));
        let has_bits = top.planes.iter().all(|plane| (plane.bit as usize) < 32 * layout.numbers().max(1));
        match is_tree && has_bits && num_parts == num_splits + 1 {
            true => Ok(ParentTree { layout, seed, top, largest_norm2 }),
            false => Err(wrong()),
        }
    }
}

impl Branch {
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = BRANCH.to_vec();
        let head = [self.leaf as u64, self.num_items as u64, self.count as u64, self.top as u64];
        head.iter().for_each(|long| out.extend(long.to_le_bytes()));
        self.words.iter().for_each(|word| out.extend(word.to_le_bytes()));
        sealed(out)
    }

    /// Errors: CORRUPT_INDEX.
    pub fn from_bytes(bytes: &[u8]) -> Result<Branch> {
        let mut from = Reader::new(bytes, BRANCH, "branch")?;
        let (leaf, num_items) = (from.long()? as u32, from.long()? as u32);
        let (count, top) = (from.long()? as usize, from.long()? as u32);
        let (words, rest) = from.rest.as_chunks::<4>();
        match rest.is_empty() {
            true => Ok(Branch {
                leaf,
                num_items,
                count,
                top,
                words: words.iter().map(|w| u32::from_le_bytes(*w)).collect(),
            }),
            false => Err(corrupt("branch")),
        }
    }
}
