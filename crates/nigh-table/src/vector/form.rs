//! The accepted types of a vector column.

use arrow_schema::{DataType, Field};

pub(crate) const ACCEPTED: &str =
    "fixed_size_list, list or large_list of float32, float64, float16, int8 or uint8, or Spark ML's vector struct";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    Fixed(usize),
    List,
    LargeList,
    ListView,
    LargeListView,
    /// Spark ML's VectorUDT: struct {type, size, indices, values}.
    Spark,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct VectorForm {
    pub layout: Layout,
    /// The element's name in messages: "float32" and so on.
    pub element: &'static str,
}

impl VectorForm {
    /// The form of a column of type `data_type`; None if it cannot hold vectors.
    pub fn of(data_type: &DataType) -> Option<VectorForm> {
        let (layout, child) = match data_type {
            DataType::FixedSizeList(f, n) => (Layout::Fixed(usize::try_from(*n).ok()?), f),
            DataType::List(f) => (Layout::List, f),
            DataType::LargeList(f) => (Layout::LargeList, f),
            DataType::ListView(f) => (Layout::ListView, f),
            DataType::LargeListView(f) => (Layout::LargeListView, f),
            DataType::Struct(_) if is_spark(data_type) => {
                return Some(VectorForm { layout: Layout::Spark, element: "float64" });
            }
            _ => return None,
        };
        Some(VectorForm { layout, element: element_name(child.data_type())? })
    }

    /// The dimension the type itself fixes.
    pub fn fixed_dim(&self) -> Option<usize> {
        match self.layout {
            Layout::Fixed(dim) => Some(dim),
            _ => None,
        }
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
        };
        format!("{outer}<{}>", self.element)
    }
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
