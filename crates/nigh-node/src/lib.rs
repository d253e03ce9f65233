//! The nigh addon for Node: handles, buffers and tasks. No algorithm and no plan: TypeScript decides, the crates below compute.

mod failure;
mod job;
mod judge;
mod search;
mod system;
mod table;
mod work;
mod write;
