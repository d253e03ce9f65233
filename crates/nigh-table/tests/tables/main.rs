mod common;
mod corrupt;
mod errors;
mod ids;
mod inspect;
mod result;
mod vectors;
mod write;
