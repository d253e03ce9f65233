//! The accepted types of a vector column.

use arrow_schema::{DataType, Field};

pub(crate) const ACCEPTED: &str = "fixed_size_list, list or large_list of float32, float64, float16, int8 or uint8, Spark ML's vector struct, or a struct {indices, values} with or without size";

/// What metrics of bits accept besides.
pub(crate) const ACCEPTED_BITS: &str =
    "binary, fixed_size_binary or a list of uint8 (packed bits), a list of boolean, or numbers as for other metrics";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    Fixed(usize),
    List,
    LargeList,
    ListView,
    LargeListView,
    /// Spark ML's VectorUDT: struct {type, size, indices, values}.
    Spark,
    /// struct {indices, values}, with or without the size: pairs of a vector that is 0 elsewhere.
    Pairs {
        sized: bool,
    },
    /// Bytes of packed bits.
    FixedBinary(usize),
    Binary,
    LargeBinary,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct VectorForm {
    pub layout: Layout,
    /// The element's name in messages: "float32" and so on.
    pub element: &'static str,
    /// Rows are bits, packed into 32-bit words.
    pub bits: bool,
}

impl VectorForm {
    /// The form of a column of type `data_type`; None if it cannot hold vectors.
    pub fn of(data_type: &DataType) -> Option<VectorForm> {
        let numbers = |(layout, element)| VectorForm { layout, element, bits: false };
        Some(numbers((layout_of(data_type)?, element_of(data_type)?)))
    }

    /// The form under a metric of bits: bytes and booleans are bits, and other numbers what they are.
    pub fn of_bits(data_type: &DataType) -> Option<VectorForm> {
        let (layout, element) = match data_type {
            DataType::FixedSizeBinary(n) => (Layout::FixedBinary(usize::try_from(*n).ok()?), "byte"),
            DataType::Binary => (Layout::Binary, "byte"),
            DataType::LargeBinary => (Layout::LargeBinary, "byte"),
            _ => match child(data_type) {
                Some(DataType::UInt8) => (layout_of(data_type)?, "uint8"),
                Some(DataType::Boolean) => (layout_of(data_type)?, "boolean"),
                _ => return VectorForm::of(data_type),
            },
        };
        Some(VectorForm { layout, element, bits: true })
    }

    /// The dimension the type itself fixes.
    pub fn fixed_dim(&self) -> Option<usize> {
        match self.layout {
            Layout::Fixed(dim) if self.element == "uint8" && self.bits => Some(8 * dim),
            Layout::Fixed(dim) => Some(dim),
            Layout::FixedBinary(bytes) => Some(8 * bytes),
            _ => None,
        }
    }

    /// Rows may come as pairs of indices and values.
    pub fn has_pairs(&self) -> bool {
        matches!(self.layout, Layout::Spark | Layout::Pairs { .. })
    }

    /// Nothing tells the length of the vectors but their largest index.
    pub fn is_open(&self) -> bool {
        self.layout == Layout::Pairs { sized: false }
    }

    /// Places of a stored row of `dim` dimensions: numbers, or words of 32 bits.
    pub fn width(&self, dim: usize) -> usize {
        if self.bits { dim.div_ceil(32) } else { dim }
    }

    /// How reports name the form: "fixed_size_list<float32>".
    pub fn name(&self) -> String {
        let outer = match self.layout {
            Layout::Fixed(_) => "fixed_size_list",
            Layout::List => "list",
            Layout::LargeList => "large_list",
            Layout::ListView => "list_view",
            Layout::LargeListView => "large_list_view",
            Layout::Spark => return "spark_vector".into(),
            Layout::Pairs { .. } => return "sparse_vector".into(),
            Layout::FixedBinary(_) => return "fixed_size_binary".into(),
            Layout::Binary => return "binary".into(),
            Layout::LargeBinary => return "large_binary".into(),
        };
        format!("{outer}<{}>", self.element)
    }
}

fn layout_of(data_type: &DataType) -> Option<Layout> {
    Some(match data_type {
        DataType::FixedSizeList(_, n) => Layout::Fixed(usize::try_from(*n).ok()?),
        DataType::List(_) => Layout::List,
        DataType::LargeList(_) => Layout::LargeList,
        DataType::ListView(_) => Layout::ListView,
        DataType::LargeListView(_) => Layout::LargeListView,
        DataType::Struct(_) if is_spark(data_type) => Layout::Spark,
        DataType::Struct(_) => Layout::Pairs { sized: is_pairs(data_type)? },
        _ => return None,
    })
}

fn child(data_type: &DataType) -> Option<&DataType> {
    match data_type {
        DataType::FixedSizeList(f, _)
        | DataType::List(f)
        | DataType::LargeList(f)
        | DataType::ListView(f)
        | DataType::LargeListView(f) => Some(f.data_type()),
        _ => None,
    }
}

fn element_of(data_type: &DataType) -> Option<&'static str> {
    child(data_type).map_or(Some("float64"), element_name)
}

fn element_name(data_type: &DataType) -> Option<&'static str> {
    Some(match data_type {
        DataType::Float32 => "float32",
        DataType::Float64 => "float64",
        DataType::Float16 => "float16",
        DataType::Int8 => "int8",
        DataType::UInt8 => "uint8",
        DataType::Int16 => "int16",
        DataType::UInt16 => "uint16",
        DataType::Int32 => "int32",
        DataType::UInt32 => "uint32",
        _ => return None,
    })
}

/// Whether a struct of pairs has the size of its vectors; None where it is no struct of pairs.
fn is_pairs(data_type: &DataType) -> Option<bool> {
    let DataType::Struct(fields) = data_type else { return None };
    let field = |name: &str| fields.iter().find(|f| f.name() == name).map(|f| f.data_type());
    let whole = |t: &DataType| matches!(t, DataType::Int32 | DataType::Int64 | DataType::UInt32);
    let list_of = |t: &DataType, accepted: fn(&DataType) -> bool| match t {
        DataType::List(f) | DataType::LargeList(f) => accepted(f.data_type()),
        _ => false,
    };
    let indices = list_of(field("indices")?, |t| matches!(t, DataType::Int32 | DataType::Int64 | DataType::UInt32));
    let values = list_of(field("values")?, |t| matches!(t, DataType::Float32 | DataType::Float64));
    let sized = field("size").map(whole);
    let expected = 2 + usize::from(sized.is_some());
    (indices && values && sized != Some(false) && fields.len() == expected).then_some(sized.is_some())
}

fn is_spark(data_type: &DataType) -> bool {
    let DataType::Struct(fields) = data_type else { return false };
    let field = |name: &str| fields.iter().find(|f| f.name() == name).map(|f| f.as_ref());
    let list_of =
        |f: &Field, element: &DataType| matches!(f.data_type(), DataType::List(e) if e.data_type() == element);
    fields.len() == 4
        && field("type").is_some_and(|f| matches!(f.data_type(), DataType::Int8 | DataType::Int16 | DataType::Int32))
        && field("size").is_some_and(|f| *f.data_type() == DataType::Int32)
        && field("indices").is_some_and(|f| list_of(f, &DataType::Int32))
        && field("values").is_some_and(|f| list_of(f, &DataType::Float64))
}
