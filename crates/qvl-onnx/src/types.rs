use std::fmt;

use crate::proto::{
    DimensionProto, DimensionValue, SequenceType, TensorShapeProto, TensorType, TypeProto, TypeValue, ValueInfoProto,
};

/// Element types that the graphs use; the codes are those of ONNX's `TensorProto.DataType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DataType {
    /// 32-bit float.
    Float32,
    /// 16-bit float.
    Float16,
    /// 32-bit integer.
    Int32,
    /// 64-bit integer.
    Int64,
    /// Boolean.
    Bool,
    /// Unsigned byte, also for packed values of fewer bits.
    UInt8,
}

impl DataType {
    const CODES: [(Self, i32); 6] = [
        (Self::Float32, 1),
        (Self::UInt8, 2),
        (Self::Int32, 6),
        (Self::Int64, 7),
        (Self::Bool, 9),
        (Self::Float16, 10),
    ];

    /// ONNX's code.
    pub fn code(self) -> i32 {
        match self {
            Self::Float32 => 1,
            Self::UInt8 => 2,
            Self::Int32 => 6,
            Self::Int64 => 7,
            Self::Bool => 9,
            Self::Float16 => 10,
        }
    }

    /// The type with ONNX's code `code`, if it is one of these.
    pub fn from_code(code: i32) -> Option<Self> {
        Self::CODES.iter().find(|(_, c)| *c == code).map(|(data_type, _)| *data_type)
    }

    /// Bytes of one element.
    pub fn size(self) -> usize {
        match self {
            Self::Float32 | Self::Int32 => 4,
            Self::Float16 => 2,
            Self::Int64 => 8,
            Self::Bool | Self::UInt8 => 1,
        }
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Float32 => "float32",
            Self::Float16 => "float16",
            Self::Int32 => "int32",
            Self::Int64 => "int64",
            Self::Bool => "bool",
            Self::UInt8 => "uint8",
        })
    }
}

/// Size of one axis, as far as it is known when the graph is built.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Dim {
    /// The same in every run.
    Fixed(usize),
    /// Decided by a run; equal wherever the name is the same.
    Symbol(&'static str),
    /// Decided by a run and without a name.
    Unknown,
}

impl Dim {
    /// Whether both may be the same size.
    pub fn agrees(&self, other: &Self) -> bool {
        self == other || *self == Self::Unknown || *other == Self::Unknown
    }

    pub(crate) fn to_proto(&self) -> DimensionProto {
        let value = match self {
            Self::Fixed(size) => Some(DimensionValue::Value(*size as i64)),
            Self::Symbol(name) => Some(DimensionValue::Param((*name).to_owned())),
            Self::Unknown => None,
        };
        DimensionProto { value }
    }
}

impl From<usize> for Dim {
    fn from(size: usize) -> Self {
        Self::Fixed(size)
    }
}

impl From<&'static str> for Dim {
    fn from(name: &'static str) -> Self {
        Self::Symbol(name)
    }
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(size) => write!(f, "{size}"),
            Self::Symbol(name) => f.write_str(name),
            Self::Unknown => f.write_str("?"),
        }
    }
}

/// A shape: one [`Dim`] for each axis.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Shape(pub Vec<Dim>);

impl Shape {
    /// Number of axes.
    pub fn rank(&self) -> usize {
        self.0.len()
    }

    /// Size of the last axis.
    pub fn last(&self) -> Dim {
        self.0.last().cloned().unwrap_or(Dim::Unknown)
    }

    /// The same shape with another last axis.
    pub fn with_last(&self, last: impl Into<Dim>) -> Self {
        let mut dims = self.0.clone();
        if let Some(dim) = dims.last_mut() {
            *dim = last.into();
        }
        Self(dims)
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dims: Vec<String> = self.0.iter().map(Dim::to_string).collect();
        write!(f, "[{}]", dims.join(", "))
    }
}

/// Makes a [`Shape`] from numbers and names: `shape!["batch", 3, Dim::Unknown]`.
#[macro_export]
macro_rules! shape {
    ($($dim:expr),* $(,)?) => { $crate::Shape(vec![$($crate::Dim::from($dim)),*]) };
}

/// A value of a graph: an input, a stored tensor or what a node computes.
#[derive(Debug, Clone)]
pub struct Value {
    /// The name, unique in its graph and the graphs around it.
    pub name: String,
    /// Element type.
    pub data_type: DataType,
    /// Shape.
    pub shape: Shape,
}

impl Value {
    /// The value's description for the file.
    pub(crate) fn to_proto(&self) -> ValueInfoProto {
        ValueInfoProto { name: self.name.clone(), r#type: Some(tensor_type(self.data_type, Some(&self.shape))) }
    }
}

/// A tensor's type; without `shape`, of any rank.
pub(crate) fn tensor_type(data_type: DataType, shape: Option<&Shape>) -> TypeProto {
    let shape = shape.map(|shape| TensorShapeProto { dim: shape.0.iter().map(Dim::to_proto).collect() });
    TypeProto { value: Some(TypeValue::Tensor(TensorType { elem_type: Some(data_type.code()), shape })) }
}

/// The type of a sequence of tensors of any shape.
pub(crate) fn sequence_type(data_type: DataType) -> TypeProto {
    let elem_type = Some(Box::new(tensor_type(data_type, None)));
    TypeProto { value: Some(TypeValue::Sequence(Box::new(SequenceType { elem_type }))) }
}
