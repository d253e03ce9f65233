//! Annoy's forest: binary trees of random planes, and items at their leaves (Bernhardsson, "Annoy", 2013). Files of Annoy 1.17.3
//! are read and written byte for byte as it lays them out.

mod annoy;
mod annoy_writer;
mod build;
mod codes;
mod graft;
mod grow;
mod index;
mod layout;
mod lean;
mod means;
mod parent;
mod parent_bytes;
mod plane;
mod route;
mod search;
mod source;
mod trees;
mod walk;
mod whole;

pub use annoy::AnnoyFile;
pub use annoy_writer::AnnoyWriter;
pub use build::ForestParams;
pub use index::Forest;
pub use layout::{AnnoyMetric, Layout, pack_bits};
pub use parent::{Branch, ParentTree};
pub use trees::Trees;

#[cfg(test)]
mod tests;
