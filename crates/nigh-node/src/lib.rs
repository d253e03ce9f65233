//! The nigh addon for Node: handles, buffers and tasks. No algorithm and no plan: TypeScript decides, the crates below compute.

// Called from JavaScript alone, which the empty test build does not know.
#![cfg_attr(test, allow(dead_code))]

mod delta;
mod failure;
mod graph;
mod job;
mod judge;
mod kept;
mod search;
mod system;
mod table;
mod work;
mod write;
