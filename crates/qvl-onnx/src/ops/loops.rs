//! A loop whose steps' results are joined.

use crate::builder::Op;
use crate::proto::ValueInfoProto;
use crate::types::{sequence_type, tensor_type};
use crate::{DataType, Dim, GraphBuilder, OnnxError, Shape, Value, shape};

impl GraphBuilder<'_> {
    /// Runs `body` for 0 .. `count` and joins what its steps give along axis 0; `size` names the sum of their sizes.
    ///
    /// `count` is an integer without axes and at least 1. The body sees all that is known around it and is given
    /// the step's number, an integer without axes. What the steps give may differ in size along axis 0.
    ///
    /// # Errors
    /// Those of `body`, or if `count` is no such integer.
    pub fn concat_loop<E: From<OnnxError>>(
        &mut self,
        name: &str,
        count: &Value,
        size: impl Into<Dim>,
        data_type: DataType,
        body: impl FnOnce(&mut Self, &Value) -> Result<Value, E>,
    ) -> Result<Value, E> {
        if count.data_type != DataType::Int64 || count.shape.rank() != 0 {
            return Err(self.mismatch("Loop", name, format!("`{}` is no single integer", count.name)).into());
        }
        let label = |part: &str| format!("{name}.{part}");
        let empty = self.full_name(&label("empty"));
        let op = Op::new("SequenceEmpty").int("dtype", data_type.code().into());
        self.raw_node(op, &label("empty"), Vec::new(), &empty)?;
        let going_on = self.constant(DataType::Bool, Vec::new(), vec![1])?;

        self.begin_body();
        let step = Value { name: self.full_name(&label("step")), data_type: DataType::Int64, shape: shape![] };
        self.declare_input(&step.name, step.to_proto());
        let condition = Value { name: self.full_name(&label("condition")), data_type: DataType::Bool, shape: shape![] };
        self.declare_input(&condition.name, condition.to_proto());
        let before = self.full_name(&label("before"));
        self.declare_input(&before, ValueInfoProto { name: before.clone(), r#type: Some(sequence_type(data_type)) });
        let result = body(self, &step)?;
        if result.data_type != data_type || result.shape.rank() == 0 {
            return Err(self
                .mismatch("Loop", name, format!("a step gives {}{}", result.data_type, result.shape))
                .into());
        }
        let after = self.full_name(&label("after"));
        self.raw_node(Op::new("SequenceInsert"), &label("append"), vec![before, result.name.clone()], &after)?;
        let still = self.node(Op::new("Identity"), &label("still"), &[&condition], DataType::Bool, shape![])?;
        let outputs =
            vec![(still.name, tensor_type(DataType::Bool, Some(&shape![]))), (after, sequence_type(data_type))];
        let graph = self.end_body(&label("body"), outputs);

        let all = self.full_name(&label("all"));
        let inputs = vec![count.name.clone(), going_on.name, empty];
        self.raw_node(Op::new("Loop").graph("body", graph), &label("loop"), inputs, &all)?;
        let mut dims = result.shape.0;
        dims[0] = size.into();
        Ok(self.joined(name, &all, data_type, Shape(dims))?)
    }

    fn joined(&mut self, name: &str, sequence: &str, data_type: DataType, shape: Shape) -> Result<Value, OnnxError> {
        // A sequence is no `Value`; for this one input a stand-in carries its name.
        let sequence = Value { name: sequence.to_owned(), data_type, shape: shape![] };
        self.node(Op::new("ConcatFromSequence").int("axis", 0), name, &[&sequence], data_type, shape)
    }
}
