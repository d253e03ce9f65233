//! Arrow arrays of bits to rows of 32-bit words: packed bytes, the first byte lowest, and booleans, the first one lowest. Metrics
//! of bits do not ask which bit is which, as long as both sides agree.

use arrow_array::cast::AsArray;
use arrow_array::types::UInt8Type;
use arrow_array::{Array, ArrayRef};

use crate::error::Result;
use crate::vector::convert::Spans;
use crate::vector::form::{Layout, VectorForm};
use crate::vector::sink::{Bad, Sink};

/// Gives every row of `array` to `sink`.
pub(crate) fn write_rows(form: VectorForm, array: &ArrayRef, sink: &mut Sink<'_>) -> Result<()> {
    let spans = Spans::new(form.layout, array);
    let booleans = (form.element == "boolean").then(|| spans.values().as_boolean());
    let (bytes, nulls): (&[u8], _) = match (form.layout, booleans) {
        (_, Some(booleans)) => (&[], booleans.nulls()),
        (Layout::FixedBinary(_), _) => (array.as_fixed_size_binary().value_data(), None),
        (Layout::Binary, _) => (array.as_binary::<i32>().value_data(), None),
        (Layout::LargeBinary, _) => (array.as_binary::<i64>().value_data(), None),
        _ => {
            let child = spans.values().as_primitive::<UInt8Type>();
            (child.values(), child.nulls())
        }
    };
    let nulls = nulls.filter(|nulls| nulls.null_count() > 0);
    let mut packed = Vec::new();
    for i in 0..array.len() {
        if array.is_null(i) {
            sink.bad(Bad::NullVector)?;
            continue;
        }
        let span = spans.span(i);
        if nulls.is_some_and(|n| n.slice(span.start, span.len()).null_count() > 0) {
            sink.bad(Bad::NullElement)?;
        } else if let Some(booleans) = booleans {
            packed.clear();
            packed.resize(span.len().div_ceil(8), 0u8);
            let set = span.clone().filter(|&at| booleans.value(at)).map(|at| at - span.start);
            set.for_each(|bit| packed[bit / 8] |= 1 << (bit % 8));
            sink.packed_row(span.len(), &packed)?;
        } else {
            sink.packed_row(8 * span.len(), &bytes[span])?;
        }
    }
    Ok(())
}
