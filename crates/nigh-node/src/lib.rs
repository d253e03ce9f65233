//! The nigh addon for Node: handles, buffers and tasks. No algorithm and no plan: TypeScript decides, the crates below compute.

// Called from JavaScript alone, which the empty test build does not know.
#![cfg_attr(test, allow(dead_code))]

mod arrow;
mod asked;
mod dataset_writer;
mod delta;
mod failure;
mod forest_parts;
mod graph;
mod handle;
mod index;
mod index_import;
mod item_columns;
mod items;
mod job;
mod judge;
mod kept;
mod lsh;
mod partitions;
mod rows;
mod scan;
mod search;
mod shuffle;
mod system;
mod table;
mod work;
mod write;
