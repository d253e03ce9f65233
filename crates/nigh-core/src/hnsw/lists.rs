//! Neighbor lists of a fixed stride, and the levels above the items.

use crate::column::Column;
use crate::memory::Aligned;

/// The end of a list that is not full.
pub(super) const NONE: u32 = u32::MAX;

/// Numbers of a cache line.
const LINE: usize = 16;

/// For each node of a level the nodes that it links to.
pub(super) struct Lists<L = Column<u32>> {
    /// Most links of a node.
    pub most: usize,
    /// Places of a node, whole cache lines: links, nearest first, then [`NONE`].
    pub stride: usize,
    pub links: L,
}

/// Places of a node that has up to `most` links.
pub(super) fn stride_of(most: usize) -> usize {
    most.next_multiple_of(LINE)
}

impl<L: std::ops::Deref<Target = [u32]>> Lists<L> {
    /// All places of a node.
    #[inline(always)]
    pub fn places(&self, node: usize) -> &[u32] {
        &self.links[node * self.stride..][..self.stride]
    }

    /// The links of a node.
    #[inline(always)]
    pub fn of(&self, node: usize) -> &[u32] {
        let places = self.places(node);
        let taken = places.iter().position(|&link| link == NONE).unwrap_or(places.len());
        &places[..taken]
    }

    pub fn len(&self) -> usize {
        self.links.len() / self.stride
    }
}

impl Lists<Aligned<u32>> {
    pub fn empty(num_nodes: usize, most: usize) -> Lists<Aligned<u32>> {
        let stride = stride_of(most);
        let mut links = Aligned::zeroed(num_nodes * stride);
        links.fill(NONE);
        Lists { most, stride, links }
    }

    pub fn set(&mut self, node: usize, links: impl Iterator<Item = u32>) {
        set(&mut self.links[node * self.stride..][..self.stride], links);
    }

    pub fn share(self) -> Lists {
        Lists { most: self.most, stride: self.stride, links: self.links.into() }
    }
}

pub(super) fn set(places: &mut [u32], links: impl Iterator<Item = u32>) {
    places.fill(NONE);
    places.iter_mut().zip(links).for_each(|(place, link)| *place = link);
}

/// A level above the items: some of the nodes of the level below it. Links are numbers of members.
pub(super) struct Upper {
    /// Positions, ascending.
    pub members: Column<u32>,
    /// The number of each in the level below; of the first level, its position.
    pub below: Column<u32>,
    pub lists: Lists,
}
