//! The messages of ONNX files that qvl reads and writes.
//!
//! Field numbers are those of ONNX's own schema (`onnx/onnx.proto`, IR version 10). Fields that qvl neither writes nor
//! reads are left out: a reader of this kind skips them. Scalars whose presence ONNX's checker looks at are optional.

use prost::Message;

use crate::{DataType, OnnxError};

/// A whole file: a graph and the operator sets that it uses.
#[derive(Clone, PartialEq, Message)]
pub struct ModelProto {
    /// Version of the file format.
    #[prost(int64, optional, tag = "1")]
    pub ir_version: Option<i64>,
    /// The program that wrote the file.
    #[prost(string, tag = "2")]
    pub producer_name: String,
    /// That program's version.
    #[prost(string, tag = "3")]
    pub producer_version: String,
    /// The graph.
    #[prost(message, optional, tag = "7")]
    pub graph: Option<GraphProto>,
    /// Operator sets, one for each domain.
    #[prost(message, repeated, tag = "8")]
    pub opset_import: Vec<OperatorSetIdProto>,
    /// Free key-value pairs.
    #[prost(message, repeated, tag = "14")]
    pub metadata_props: Vec<StringStringEntryProto>,
}

/// An operator set: a domain and its version.
#[derive(Clone, PartialEq, Message)]
pub struct OperatorSetIdProto {
    /// The domain; empty for ONNX's own operators.
    #[prost(string, optional, tag = "1")]
    pub domain: Option<String>,
    /// The version.
    #[prost(int64, optional, tag = "2")]
    pub version: Option<i64>,
}

/// A key and its value.
#[derive(Clone, PartialEq, Message)]
pub struct StringStringEntryProto {
    /// The key.
    #[prost(string, tag = "1")]
    pub key: String,
    /// The value.
    #[prost(string, tag = "2")]
    pub value: String,
}

/// A graph: nodes in topological order, stored tensors, inputs and outputs.
#[derive(Clone, PartialEq, Message)]
pub struct GraphProto {
    /// The nodes.
    #[prost(message, repeated, tag = "1")]
    pub node: Vec<NodeProto>,
    /// The graph's name.
    #[prost(string, tag = "2")]
    pub name: String,
    /// Stored tensors.
    #[prost(message, repeated, tag = "5")]
    pub initializer: Vec<TensorProto>,
    /// Inputs.
    #[prost(message, repeated, tag = "11")]
    pub input: Vec<ValueInfoProto>,
    /// Outputs.
    #[prost(message, repeated, tag = "12")]
    pub output: Vec<ValueInfoProto>,
    /// Types of values inside the graph.
    #[prost(message, repeated, tag = "13")]
    pub value_info: Vec<ValueInfoProto>,
}

/// One operation.
#[derive(Clone, PartialEq, Message)]
pub struct NodeProto {
    /// Names of the inputs; empty for one left out.
    #[prost(string, repeated, tag = "1")]
    pub input: Vec<String>,
    /// Names of the outputs; empty for one left out.
    #[prost(string, repeated, tag = "2")]
    pub output: Vec<String>,
    /// The node's name.
    #[prost(string, tag = "3")]
    pub name: String,
    /// The operator.
    #[prost(string, tag = "4")]
    pub op_type: String,
    /// Attributes.
    #[prost(message, repeated, tag = "5")]
    pub attribute: Vec<AttributeProto>,
    /// The operator's domain; empty for ONNX's own.
    #[prost(string, tag = "7")]
    pub domain: String,
}

/// A named attribute of a node.
#[derive(Clone, PartialEq, Message)]
pub struct AttributeProto {
    /// The name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// A float.
    #[prost(float, optional, tag = "2")]
    pub f: Option<f32>,
    /// An integer.
    #[prost(int64, optional, tag = "3")]
    pub i: Option<i64>,
    /// A string.
    #[prost(bytes = "vec", optional, tag = "4")]
    pub s: Option<Vec<u8>>,
    /// A graph, such as a loop's body.
    #[prost(message, optional, tag = "6")]
    pub g: Option<GraphProto>,
    /// Integers.
    #[prost(int64, repeated, packed = "false", tag = "8")]
    pub ints: Vec<i64>,
    /// Which of the fields holds the value: 1 `f`, 2 `i`, 3 `s`, 5 `g`, 7 `ints`.
    #[prost(int32, optional, tag = "20")]
    pub kind: Option<i32>,
}

/// A stored tensor: inside the file or in a file of its own.
#[derive(Clone, PartialEq, Message)]
pub struct TensorProto {
    /// Sizes of the axes.
    #[prost(int64, repeated, packed = "false", tag = "1")]
    pub dims: Vec<i64>,
    /// Element type, a [`DataType`]'s code.
    #[prost(int32, optional, tag = "2")]
    pub data_type: Option<i32>,
    /// The tensor's name.
    #[prost(string, tag = "8")]
    pub name: String,
    /// Little-endian elements in row-major order.
    #[prost(bytes = "vec", optional, tag = "9")]
    pub raw_data: Option<Vec<u8>>,
    /// Where the elements are, if they are external: `location`, `offset`, `length`.
    #[prost(message, repeated, tag = "13")]
    pub external_data: Vec<StringStringEntryProto>,
    /// 1 if the elements are external.
    #[prost(int32, optional, tag = "14")]
    pub data_location: Option<i32>,
}

/// A value's name and type.
#[derive(Clone, PartialEq, Message)]
pub struct ValueInfoProto {
    /// The name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// The type.
    #[prost(message, optional, tag = "2")]
    pub r#type: Option<TypeProto>,
}

/// A type: a tensor or a sequence.
#[derive(Clone, PartialEq, Message)]
pub struct TypeProto {
    /// The type itself.
    #[prost(oneof = "TypeValue", tags = "1, 4")]
    pub value: Option<TypeValue>,
}

/// The kinds of type that qvl's graphs have.
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum TypeValue {
    /// A tensor.
    #[prost(message, tag = "1")]
    Tensor(TensorType),
    /// A sequence.
    #[prost(message, tag = "4")]
    Sequence(Box<SequenceType>),
}

/// A tensor's element type and shape.
#[derive(Clone, PartialEq, Message)]
pub struct TensorType {
    /// Element type, a [`DataType`]'s code.
    #[prost(int32, optional, tag = "1")]
    pub elem_type: Option<i32>,
    /// The shape; absent if not even the rank is known.
    #[prost(message, optional, tag = "2")]
    pub shape: Option<TensorShapeProto>,
}

/// A sequence's element type.
#[derive(Clone, PartialEq, Message)]
pub struct SequenceType {
    /// The element type.
    #[prost(message, optional, boxed, tag = "1")]
    pub elem_type: Option<Box<TypeProto>>,
}

/// Sizes of a tensor's axes.
#[derive(Clone, PartialEq, Message)]
pub struct TensorShapeProto {
    /// One entry for each axis.
    #[prost(message, repeated, tag = "1")]
    pub dim: Vec<DimensionProto>,
}

/// Size of one axis.
#[derive(Clone, PartialEq, Message)]
pub struct DimensionProto {
    /// The size; absent if unknown.
    #[prost(oneof = "DimensionValue", tags = "1, 2")]
    pub value: Option<DimensionValue>,
}

/// A size: a number or a name.
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum DimensionValue {
    /// A size that is the same in every run.
    #[prost(int64, tag = "1")]
    Value(i64),
    /// The name of a size that a run decides.
    #[prost(string, tag = "2")]
    Param(String),
}

/// Where an external tensor's elements are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExternalTensor {
    /// The tensor's name.
    pub name: String,
    /// The file, relative to the ONNX file.
    pub location: String,
    /// First byte.
    pub offset: u64,
    /// Number of bytes.
    pub length: u64,
}

impl ModelProto {
    /// Reads a model from the bytes of an ONNX file.
    ///
    /// # Errors
    /// If the bytes are no ONNX model.
    pub fn read(bytes: &[u8]) -> Result<Self, OnnxError> {
        let model = Self::decode(bytes).map_err(|e| OnnxError::NotOnnx { reason: e.to_string() })?;
        if model.graph.is_none() {
            return Err(OnnxError::NotOnnx { reason: "it holds no graph".into() });
        }
        Ok(model)
    }

    /// The main graph's external tensors, each as found or with what is wrong with its entry.
    pub fn external_tensors(&self) -> impl Iterator<Item = Result<ExternalTensor, OnnxError>> {
        let tensors = self.graph.iter().flat_map(|graph| &graph.initializer);
        tensors.filter(|tensor| tensor.data_location == Some(1)).map(TensorProto::external)
    }
}

impl TensorProto {
    /// Where the elements are, of a tensor whose elements are external.
    ///
    /// # Errors
    /// If the entry is malformed, or its length is not that of the shape and the type.
    pub fn external(&self) -> Result<ExternalTensor, OnnxError> {
        let malformed = |reason: &str| OnnxError::ExternalData { tensor: self.name.clone(), reason: reason.to_owned() };
        let entries = &self.external_data;
        // Of two, one reader takes the first and another the last.
        if entries.iter().enumerate().any(|(index, entry)| entries[..index].iter().any(|other| other.key == entry.key))
        {
            return Err(malformed("says something twice"));
        }
        let entry = |key: &str| entries.iter().find(|e| e.key == key).map(|e| e.value.as_str());
        let number =
            |key: &str| entry(key).unwrap_or("0").parse::<u64>().map_err(|_| malformed("has a malformed number"));
        let location = entry("location").ok_or_else(|| malformed("names no file"))?.to_owned();
        let (offset, length) = (number("offset")?, number("length")?);
        let expected = self.byte_len().ok_or_else(|| malformed("has an impossible shape or type"))?;
        if length != expected {
            return Err(malformed("has a length that does not agree with its shape"));
        }
        Ok(ExternalTensor { name: self.name.clone(), location, offset, length })
    }

    /// Number of bytes that the shape and the element type ask for.
    fn byte_len(&self) -> Option<u64> {
        let size = DataType::from_code(self.data_type?)?.size() as u64;
        self.dims.iter().try_fold(size, |bytes, &dim| bytes.checked_mul(u64::try_from(dim).ok()?))
    }
}
