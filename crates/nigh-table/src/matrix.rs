//! Room for the vectors, asked for politely: a size from a damaged file must be an error, not an abort.

use nigh_core::{SpillTo, Store};

use crate::error::{Result, TableError, code};

fn too_large(rows: usize, dim: usize) -> TableError {
    TableError::new(
        code::TOO_LARGE,
        format!(
            "{rows} vectors of {dim} dimensions ({:.1} GB) do not fit into memory",
            rows as f64 * dim as f64 * 4e-9
        ),
    )
}

/// `rows * dim` zeros, in a spill file if one is given.
pub(crate) fn zeros(rows: usize, dim: usize, spill: Option<&SpillTo>) -> Result<Store> {
    let len = rows.checked_mul(dim).ok_or_else(|| too_large(rows, dim))?;
    if let Some(to) = spill {
        return Ok(Store::spilled(len, to)?);
    }
    Vec::<f32>::new().try_reserve_exact(len).map_err(|_| too_large(rows, dim))?;
    Ok(Store::zeros(len))
}
