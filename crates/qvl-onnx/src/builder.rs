use std::collections::{HashMap, HashSet};

use crate::proto::{
    AttributeProto, ExternalTensor, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TypeProto,
    ValueInfoProto,
};
use crate::weights::{StoredTensor, Weight};
use crate::write::external;
use crate::{DataType, OnnxError, Shape, Value, WeightSource, shape};

/// ONNX's file format version that is written; ONNX Runtime 1.24, the oldest supported, reads it.
const IR_VERSION: i64 = 10;

/// Operator set of ONNX's own domain: the first with `RMSNormalization`.
const OPSET: i64 = 23;

/// Domain of ONNX Runtime's contributed operators.
pub(crate) const MICROSOFT: &str = "com.microsoft";

/// Builds a graph node by node.
///
/// Weights are borrowed for `'a` and read only when the model is written.
#[derive(Default)]
pub struct GraphBuilder<'a> {
    /// The main graph, then the bodies of the loops that are being built, innermost last.
    scopes: Vec<Scope>,
    /// Parts of the names of what is added now.
    path: Vec<String>,
    names: HashSet<String>,
    constants: HashMap<(i32, Vec<i64>, Vec<u8>), Value>,
    initializers: Vec<TensorProto>,
    weights: Vec<Weight<'a>>,
}

/// One graph under construction.
#[derive(Default)]
struct Scope {
    graph: GraphProto,
    known: HashSet<String>,
}

/// What a node is: an operator and its attributes.
pub(crate) struct Op {
    pub(crate) name: &'static str,
    pub(crate) domain: &'static str,
    pub(crate) attributes: Vec<AttributeProto>,
}

impl Op {
    /// An operator of ONNX's own domain.
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, domain: "", attributes: Vec::new() }
    }

    /// An operator that ONNX Runtime contributes.
    pub(crate) fn microsoft(name: &'static str) -> Self {
        Self { name, domain: MICROSOFT, attributes: Vec::new() }
    }

    pub(crate) fn int(self, name: &str, value: i64) -> Self {
        self.with(AttributeProto { name: name.to_owned(), i: Some(value), kind: Some(2), ..Default::default() })
    }

    pub(crate) fn float(self, name: &str, value: f32) -> Self {
        self.with(AttributeProto { name: name.to_owned(), f: Some(value), kind: Some(1), ..Default::default() })
    }

    pub(crate) fn text(self, name: &str, value: &str) -> Self {
        let s = Some(value.as_bytes().to_vec());
        self.with(AttributeProto { name: name.to_owned(), s, kind: Some(3), ..Default::default() })
    }

    pub(crate) fn ints(self, name: &str, value: &[i64]) -> Self {
        let ints = value.to_vec();
        self.with(AttributeProto { name: name.to_owned(), ints, kind: Some(7), ..Default::default() })
    }

    pub(crate) fn graph(self, name: &str, value: GraphProto) -> Self {
        self.with(AttributeProto { name: name.to_owned(), g: Some(value), kind: Some(5), ..Default::default() })
    }

    fn with(mut self, attribute: AttributeProto) -> Self {
        self.attributes.push(attribute);
        self
    }
}

impl<'a> GraphBuilder<'a> {
    /// An empty graph.
    pub fn new() -> Self {
        Self { scopes: vec![Scope::default()], ..Self::default() }
    }

    /// Runs `build` with `part` added to the names of all nodes that it adds.
    pub fn within<T>(&mut self, part: &str, build: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(part.to_owned());
        let built = build(self);
        self.path.pop();
        built
    }

    /// Adds an input of the main graph.
    ///
    /// # Errors
    /// If the name is taken.
    pub fn input(&mut self, name: &str, data_type: DataType, shape: Shape) -> Result<Value, OnnxError> {
        let value = Value { name: name.to_owned(), data_type, shape };
        self.claim(name)?;
        self.declare_input(name, value.to_proto());
        Ok(value)
    }

    /// Declares `value` as the main graph's output `name`; its shape becomes the declared shape.
    ///
    /// # Errors
    /// If the name is taken by another value, or the value is not known in the main graph.
    pub fn output(&mut self, name: &str, value: &Value) -> Result<(), OnnxError> {
        let value = if value.name == name { value.clone() } else { self.rename(name, value)? };
        self.scopes[0].graph.output.push(value.to_proto());
        // A value's type is given once: as an output or as an inner value.
        self.scopes[0].graph.value_info.retain(|info| info.name != value.name);
        Ok(())
    }

    /// Gives `value` a second name, unprefixed, by a node that does nothing else; runtimes remove it.
    fn rename(&mut self, name: &str, value: &Value) -> Result<Value, OnnxError> {
        let path = std::mem::take(&mut self.path);
        let renamed = self.node(Op::new("Identity"), name, &[value], value.data_type, value.shape.clone());
        self.path = path;
        renamed
    }

    /// A stored tensor that goes to the external-data file; its rows are those of its last axis.
    ///
    /// # Errors
    /// If the name is taken.
    pub fn weight(
        &mut self,
        name: &str,
        data_type: DataType,
        dims: &[usize],
        source: impl WeightSource + 'a,
    ) -> Result<Value, OnnxError> {
        let rows = dims.split_last().map_or(1, |(_, leading)| leading.iter().product());
        let tensor = StoredTensor { name: name.to_owned(), data_type, dims: dims.to_vec() };
        let mut values = self.weights(vec![tensor], rows, source)?;
        values.pop().ok_or_else(|| OnnxError::UnknownValue { name: name.to_owned() })
    }

    /// Stored tensors that one source fills together, each of `rows` rows.
    ///
    /// # Errors
    /// If a name is taken, or a tensor does not divide into that many rows.
    pub fn weights(
        &mut self,
        tensors: Vec<StoredTensor>,
        rows: usize,
        source: impl WeightSource + 'a,
    ) -> Result<Vec<Value>, OnnxError> {
        let weight = Weight::new(tensors, rows, source)?;
        let values = weight.tensors.iter().map(|tensor| self.declare_stored(tensor)).collect();
        self.weights.push(weight);
        values
    }

    /// A stored tensor whose bytes are those at `place`, which another model's [`Model::write`] has written.
    ///
    /// # Errors
    /// If the name is taken, or the place has another length than the tensor.
    pub fn stored_at(&mut self, tensor: &StoredTensor, place: &ExternalTensor) -> Result<Value, OnnxError> {
        if tensor.bytes() != place.length {
            let reason = format!("{:?} is not stored in the {} bytes of {}", tensor.dims, place.length, place.name);
            return Err(OnnxError::Weight { tensor: tensor.name.clone(), reason });
        }
        let value = self.declare_stored(tensor)?;
        self.initializers.push(external(tensor, &place.location, place.offset));
        Ok(value)
    }

    /// Makes a stored tensor known.
    fn declare_stored(&mut self, tensor: &StoredTensor) -> Result<Value, OnnxError> {
        self.claim(&tensor.name)?;
        self.scopes[0].known.insert(tensor.name.clone());
        let shape = Shape(tensor.dims.iter().map(|&size| size.into()).collect());
        Ok(Value { name: tensor.name.clone(), data_type: tensor.data_type, shape })
    }

    /// A constant list of integers, stored in the graph once however often it is asked for.
    ///
    /// # Errors
    /// Never in practice: constants' names are their own.
    pub fn ints(&mut self, values: &[i64]) -> Result<Value, OnnxError> {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.constant(DataType::Int64, vec![values.len() as i64], bytes)
    }

    /// A constant integer without axes.
    ///
    /// # Errors
    /// As [`GraphBuilder::ints`].
    pub fn scalar_i64(&mut self, value: i64) -> Result<Value, OnnxError> {
        self.constant(DataType::Int64, Vec::new(), value.to_le_bytes().to_vec())
    }

    /// A constant list of single-precision numbers.
    ///
    /// # Errors
    /// As [`GraphBuilder::ints`].
    pub fn floats(&mut self, values: &[f32]) -> Result<Value, OnnxError> {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.constant(DataType::Float32, vec![values.len() as i64], bytes)
    }

    /// A constant single-precision number without axes.
    ///
    /// # Errors
    /// As [`GraphBuilder::ints`].
    pub fn scalar_f32(&mut self, value: f32) -> Result<Value, OnnxError> {
        self.constant(DataType::Float32, Vec::new(), value.to_le_bytes().to_vec())
    }

    pub(crate) fn constant(&mut self, data_type: DataType, dims: Vec<i64>, bytes: Vec<u8>) -> Result<Value, OnnxError> {
        let key = (data_type.code(), dims, bytes);
        if let Some(value) = self.constants.get(&key) {
            return Ok(value.clone());
        }
        let name = format!("constant.{}", self.constants.len());
        self.claim(&name)?;
        let shape = Shape(key.1.iter().map(|&size| (size as usize).into()).collect());
        let value = Value { name: name.clone(), data_type, shape };
        self.initializers.push(TensorProto {
            dims: key.1.clone(),
            data_type: Some(data_type.code()),
            name: name.clone(),
            raw_data: Some(key.2.clone()),
            ..Default::default()
        });
        self.scopes[0].known.insert(name);
        self.constants.insert(key, value.clone());
        Ok(value)
    }

    /// Adds a node with one output.
    pub(crate) fn node(
        &mut self,
        op: Op,
        name: &str,
        inputs: &[&Value],
        data_type: DataType,
        shape: Shape,
    ) -> Result<Value, OnnxError> {
        let inputs: Vec<Option<&Value>> = inputs.iter().map(|v| Some(*v)).collect();
        let mut outputs = self.node_with(op, name, &inputs, vec![Some((name, data_type, shape))])?;
        outputs.pop().ok_or_else(|| OnnxError::UnknownValue { name: name.to_owned() })
    }

    /// Adds a node; inputs and outputs that are `None` are left out. Returns the outputs that are not.
    pub(crate) fn node_with(
        &mut self,
        op: Op,
        name: &str,
        inputs: &[Option<&Value>],
        outputs: Vec<Option<(&str, DataType, Shape)>>,
    ) -> Result<Vec<Value>, OnnxError> {
        for value in inputs.iter().flatten() {
            self.check_known(&value.name)?;
        }
        let mut values = Vec::with_capacity(outputs.len());
        let mut output_names = Vec::with_capacity(outputs.len());
        for output in outputs {
            let Some((label, data_type, shape)) = output else {
                output_names.push(String::new());
                continue;
            };
            let value = Value { name: self.full_name(label), data_type, shape };
            self.claim(&value.name)?;
            output_names.push(value.name.clone());
            values.push(value);
        }
        let inputs = inputs.iter().map(|v| v.map_or_else(String::new, |v| v.name.clone())).collect();
        let scope = self.push_node(op, name, inputs, output_names);
        for value in &values {
            scope.known.insert(value.name.clone());
            scope.graph.value_info.push(value.to_proto());
        }
        Ok(values)
    }

    /// Adds a node whose input or output is no tensor, and so has no [`Value`].
    pub(crate) fn raw_node(&mut self, op: Op, name: &str, inputs: Vec<String>, output: &str) -> Result<(), OnnxError> {
        self.claim(output)?;
        self.push_node(op, name, inputs, vec![output.to_owned()]).known.insert(output.to_owned());
        Ok(())
    }

    /// Appends a node to the innermost graph.
    fn push_node(&mut self, op: Op, name: &str, input: Vec<String>, output: Vec<String>) -> &mut Scope {
        let node = NodeProto {
            input,
            output,
            name: self.full_name(name),
            op_type: op.name.to_owned(),
            attribute: op.attributes,
            domain: op.domain.to_owned(),
        };
        let scope = self.innermost();
        scope.graph.node.push(node);
        scope
    }

    /// Starts a graph inside the current one; it sees all that is known around it.
    pub(crate) fn begin_body(&mut self) {
        self.scopes.push(Scope::default());
    }

    /// Adds an input of the graph that is being built.
    pub(crate) fn declare_input(&mut self, name: &str, info: ValueInfoProto) {
        let scope = self.innermost();
        scope.graph.input.push(info);
        scope.known.insert(name.to_owned());
    }

    /// Ends the innermost graph, with these outputs.
    pub(crate) fn end_body(&mut self, name: &str, outputs: Vec<(String, TypeProto)>) -> GraphProto {
        let mut graph = std::mem::take(self.innermost()).graph;
        self.scopes.pop();
        graph.name = self.full_name(name);
        graph.value_info.retain(|info| outputs.iter().all(|(output, _)| *output != info.name));
        graph.output = outputs.into_iter().map(|(name, t)| ValueInfoProto { name, r#type: Some(t) }).collect();
        graph
    }

    /// Ends the main graph.
    pub fn finish(mut self, name: &str) -> Model<'a> {
        let mut graph = std::mem::take(&mut self.scopes[0]).graph;
        graph.name = name.to_owned();
        graph.initializer = self.initializers;
        let opset =
            |domain: &str, version| OperatorSetIdProto { domain: Some(domain.to_owned()), version: Some(version) };
        let proto = ModelProto {
            ir_version: Some(IR_VERSION),
            producer_name: "qvl".to_owned(),
            producer_version: env!("CARGO_PKG_VERSION").to_owned(),
            graph: Some(graph),
            opset_import: vec![opset("", OPSET), opset(MICROSOFT, 1)],
            metadata_props: Vec::new(),
        };
        Model { proto, weights: self.weights }
    }

    /// The full name of what is called `label` here.
    pub(crate) fn full_name(&self, label: &str) -> String {
        let mut name = self.path.join(".");
        if !name.is_empty() {
            name.push('.');
        }
        name + label
    }

    fn claim(&mut self, name: &str) -> Result<(), OnnxError> {
        if self.names.insert(name.to_owned()) {
            Ok(())
        } else {
            Err(OnnxError::DuplicateName { name: name.to_owned() })
        }
    }

    fn check_known(&self, name: &str) -> Result<(), OnnxError> {
        if self.scopes.iter().any(|scope| scope.known.contains(name)) {
            Ok(())
        } else {
            Err(OnnxError::UnknownValue { name: name.to_owned() })
        }
    }

    fn innermost(&mut self) -> &mut Scope {
        let last = self.scopes.len() - 1;
        &mut self.scopes[last]
    }

    /// An error about the node `name`.
    pub(crate) fn mismatch(&self, op: &'static str, name: &str, reason: String) -> OnnxError {
        OnnxError::Node { node: self.full_name(name), op, reason }
    }

    /// The sizes of all axes of `value`.
    ///
    /// # Errors
    /// If the value is not known here.
    pub fn shape_of(&mut self, name: &str, value: &Value) -> Result<Value, OnnxError> {
        self.node(Op::new("Shape"), name, &[value], DataType::Int64, shape![value.shape.rank()])
    }

    /// The size of one axis of `value` as a list of one integer.
    ///
    /// # Errors
    /// If the value is not known here.
    pub fn size_of(&mut self, name: &str, value: &Value, axis: usize) -> Result<Value, OnnxError> {
        let op = Op::new("Shape").int("start", axis as i64).int("end", axis as i64 + 1);
        self.node(op, name, &[value], DataType::Int64, shape![1])
    }
}

/// A finished model, ready to be written.
pub struct Model<'a> {
    pub(crate) proto: ModelProto,
    pub(crate) weights: Vec<Weight<'a>>,
}

impl Model<'_> {
    /// The model without its external tensors.
    pub fn proto(&self) -> &ModelProto {
        &self.proto
    }

    /// Bytes of all external tensors, without the gaps between them.
    pub fn weight_bytes(&self) -> u64 {
        self.weights.iter().map(Weight::bytes).sum()
    }
}
