//! Vector columns: which Arrow types are accepted, and their rows as float32.

pub(crate) mod bits;
pub(crate) mod convert;
pub(crate) mod element;
pub(crate) mod form;
pub(crate) mod pairs;
pub(crate) mod sink;
