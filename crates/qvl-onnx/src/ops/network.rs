//! The layers of a network: products with weights, norms, activations.

use crate::builder::Op;
use crate::ops::arithmetic::describe;
use crate::{DataType, Dim, GraphBuilder, OnnxError, Value};

impl GraphBuilder<'_> {
    /// `x` [.., n] times `weight` [n, m].
    ///
    /// # Errors
    /// If the inner sizes or the types differ.
    pub fn matmul(&mut self, name: &str, x: &Value, weight: &Value) -> Result<Value, OnnxError> {
        let [rows, columns] = weight.shape.0.as_slice() else {
            return Err(self.mismatch("MatMul", name, format!("{} is no matrix", describe(weight))));
        };
        if x.data_type != weight.data_type || !x.shape.last().agrees(rows) || x.shape.rank() == 0 {
            return Err(self.mismatch("MatMul", name, format!("{} times {}", describe(x), describe(weight))));
        }
        self.node(Op::new("MatMul"), name, &[x, weight], x.data_type, x.shape.with_last(columns.clone()))
    }

    /// Layer normalisation over the last axis: `(x − mean) / sqrt(variance + epsilon) · scale + bias`, in float32.
    ///
    /// # Errors
    /// If scale or bias does not fit.
    pub fn layer_norm(
        &mut self,
        name: &str,
        x: &Value,
        scale: &Value,
        bias: &Value,
        epsilon: f32,
    ) -> Result<Value, OnnxError> {
        self.check_vector("LayerNormalization", name, x, scale)?;
        self.check_vector("LayerNormalization", name, x, bias)?;
        let op = Op::new("LayerNormalization").int("axis", -1).float("epsilon", epsilon);
        self.node(op, name, &[x, scale, bias], x.data_type, x.shape.clone())
    }

    /// Root-mean-square normalisation over the last axis: `x / sqrt(mean(x²) + epsilon) · scale`, in float32.
    ///
    /// # Errors
    /// If the scale does not fit.
    pub fn rms_norm(&mut self, name: &str, x: &Value, scale: &Value, epsilon: f32) -> Result<Value, OnnxError> {
        self.check_vector("RMSNormalization", name, x, scale)?;
        let op = Op::new("RMSNormalization").int("axis", -1).float("epsilon", epsilon);
        self.node(op, name, &[x, scale], x.data_type, x.shape.clone())
    }

    /// The sum `x + skip` and its root-mean-square normalisation, in one pass: (normalised, sum).
    ///
    /// # Errors
    /// If the shapes or types differ, or the scale does not fit.
    pub fn skip_rms_norm(
        &mut self,
        name: &str,
        x: &Value,
        skip: &Value,
        scale: &Value,
        epsilon: f32,
    ) -> Result<(Value, Value), OnnxError> {
        const OP: &str = "SkipSimplifiedLayerNormalization";
        self.check_vector(OP, name, x, scale)?;
        if x.shape != skip.shape || x.data_type != skip.data_type {
            return Err(self.mismatch(OP, name, format!("{} plus {}", describe(x), describe(skip))));
        }
        let sum = format!("{name}.sum");
        let outputs = vec![
            Some((name, x.data_type, x.shape.clone())),
            None,
            None,
            Some((sum.as_str(), x.data_type, x.shape.clone())),
        ];
        let op = Op::microsoft(OP).float("epsilon", epsilon);
        let mut values = self.node_with(op, name, &[Some(x), Some(skip), Some(scale)], outputs)?.into_iter();
        match (values.next(), values.next()) {
            (Some(normalised), Some(sum)) => Ok((normalised, sum)),
            _ => Err(OnnxError::UnknownValue { name: name.to_owned() }),
        }
    }

    /// The Gaussian error linear unit: exact, `x/2 · (1 + erf(x/√2))`, or with the `tanh` approximation.
    ///
    /// # Errors
    /// If the value is not known here.
    pub fn gelu(&mut self, name: &str, x: &Value, tanh: bool) -> Result<Value, OnnxError> {
        let op = Op::new("Gelu").text("approximate", if tanh { "tanh" } else { "none" });
        self.node(op, name, &[x], x.data_type, x.shape.clone())
    }

    /// The sigmoid linear unit, `x · sigmoid(x)`.
    ///
    /// # Errors
    /// If the value is not known here.
    pub fn silu(&mut self, name: &str, x: &Value) -> Result<Value, OnnxError> {
        let gate = self.sigmoid(&format!("{name}.sigmoid"), x)?;
        self.mul(name, x, &gate)
    }

    fn check_vector(&self, op: &'static str, name: &str, x: &Value, vector: &Value) -> Result<(), OnnxError> {
        let is_vector = vector.shape.0.as_slice() == [x.shape.last()] && matches!(x.shape.last(), Dim::Fixed(_));
        let is_float = x.data_type == vector.data_type && matches!(x.data_type, DataType::Float32 | DataType::Float16);
        if is_vector && is_float {
            Ok(())
        } else {
            Err(self.mismatch(op, name, format!("{} does not fit {}", describe(vector), describe(x))))
        }
    }
}
