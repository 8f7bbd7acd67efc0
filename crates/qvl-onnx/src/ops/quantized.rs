//! Products with, and rows of, weights in blocks of few bits, by ONNX Runtime's contributed operators.

use crate::builder::Op;
use crate::ops::arithmetic::describe;
use crate::ops::experts::swiglu;
use crate::{DataType, Dim, GraphBuilder, OnnxError, Value, shape};

/// Inputs of a `MatMulNBits` node.
#[derive(Debug)]
pub struct MatMulNBits<'a> {
    /// [.., n].
    pub x: &'a Value,
    /// Packed codes, [m, blocks, block size · bits / 8] uint8.
    pub codes: &'a Value,
    /// [m, blocks], of the type of `x`.
    pub scales: &'a Value,
    /// Packed zero points, [m, bytes] uint8; the middle code where there are none.
    pub zero_points: Option<&'a Value>,
    /// Bits of a code.
    pub bits: usize,
    /// Values in a block.
    pub block_size: usize,
    /// 0 for float32 arithmetic, 4 for activations in blocks of int8.
    pub accuracy_level: usize,
}

/// Inputs of a `QMoE` node whose experts are gated by the sigmoid linear unit.
#[derive(Debug)]
pub struct QuantizedExperts<'a> {
    /// Rows to be computed, [rows, n].
    pub x: &'a Value,
    /// The router's logits, [rows, experts].
    pub router_logits: &'a Value,
    /// Packed codes of gate and up rows in turn, [experts, 2·m, n · bits / 8] uint8, and their scales
    /// [experts, 2·m, n / block size].
    pub gate_up: (&'a Value, &'a Value),
    /// Packed codes of the down matrices, [experts, n, m · bits / 8] uint8, and their scales [experts, n, m / block size].
    pub down: (&'a Value, &'a Value),
    /// How many experts compute a row.
    pub experts_per_row: usize,
    /// Bits of a code.
    pub bits: usize,
    /// Values in a block.
    pub block_size: usize,
    /// As in [`MatMulNBits`]; with 8 bits ONNX Runtime's CPU provider rounds activations to int8 in any case.
    pub accuracy_level: usize,
}

/// A table whose rows a `GatherBlockQuantized` node takes.
///
/// The bytes are those that [`MatMulNBits`] multiplies with: only the codes' shape has an axis less.
#[derive(Debug)]
pub struct QuantizedTable<'a> {
    /// Packed codes, [m, blocks · block size · bits / 8] uint8.
    pub codes: &'a Value,
    /// [m, blocks].
    pub scales: &'a Value,
    /// Packed zero points, [m, bytes] uint8; the middle code where there are none.
    pub zero_points: Option<&'a Value>,
    /// Bits of a code.
    pub bits: usize,
    /// Values in a block.
    pub block_size: usize,
}

impl GraphBuilder<'_> {
    /// The rows `indices` of a quantised table, of the type of its scales: [.., blocks · block size].
    ///
    /// # Errors
    /// If the sizes or types do not fit.
    pub fn gather_quantized(
        &mut self,
        name: &str,
        table: &QuantizedTable<'_>,
        indices: &Value,
    ) -> Result<Value, OnnxError> {
        const OP: &str = "GatherBlockQuantized";
        let width = match (table.codes.shape.0.as_slice(), table.scales.shape.0.as_slice()) {
            ([m, Dim::Fixed(row)], [same_m, Dim::Fixed(blocks)])
                if m == same_m && *row == blocks * table.block_size * table.bits / 8 =>
            {
                Some(blocks * table.block_size)
            }
            _ => None,
        };
        let is_packed = table.codes.data_type == DataType::UInt8 && indices.data_type == DataType::Int64;
        let Some(width) = width.filter(|_| is_packed) else {
            return Err(self.mismatch(OP, name, format!("{} of {}", describe(indices), describe(table.codes))));
        };
        let op = Op::microsoft(OP)
            .int("gather_axis", 0)
            .int("quantize_axis", 1)
            .int("bits", table.bits as i64)
            .int("block_size", table.block_size as i64);
        let mut inputs = vec![table.codes, indices, table.scales];
        inputs.extend(table.zero_points);
        let mut shape = indices.shape.clone();
        shape.0.push(width.into());
        self.node(op, name, &inputs, table.scales.data_type, shape)
    }

    /// `x` [.., n] times the transpose of a quantised matrix [m, n].
    ///
    /// # Errors
    /// If the sizes or types do not fit.
    pub fn matmul_n_bits(&mut self, name: &str, node: &MatMulNBits<'_>) -> Result<Value, OnnxError> {
        const OP: &str = "MatMulNBits";
        let sizes = match (node.x.shape.last(), node.codes.shape.0.as_slice()) {
            (Dim::Fixed(n), [Dim::Fixed(m), Dim::Fixed(blocks), Dim::Fixed(blob)])
                if *blocks == n.div_ceil(node.block_size)
                    && *blob == node.block_size * node.bits / 8
                    && node.scales.shape == shape![*m, *blocks] =>
            {
                Some((n, *m))
            }
            _ => None,
        };
        let is_packed = node.codes.data_type == DataType::UInt8 && node.scales.data_type == node.x.data_type;
        let Some((n, m)) = sizes.filter(|_| is_packed) else {
            return Err(self.mismatch(OP, name, format!("{} times {}", describe(node.x), describe(node.codes))));
        };
        let op = Op::microsoft(OP)
            .int("K", n as i64)
            .int("N", m as i64)
            .int("bits", node.bits as i64)
            .int("block_size", node.block_size as i64)
            .int("accuracy_level", node.accuracy_level as i64);
        let mut inputs = vec![Some(node.x), Some(node.codes), Some(node.scales)];
        inputs.extend(node.zero_points.map(Some));
        let outputs = vec![Some((name, node.x.data_type, node.x.shape.with_last(m)))];
        let mut values = self.node_with(op, name, &inputs, outputs)?;
        values.pop().ok_or_else(|| OnnxError::UnknownValue { name: name.to_owned() })
    }

    /// The chosen experts' outputs weighted by the softmax over their logits, [rows, n], with quantised experts.
    ///
    /// # Errors
    /// If the sizes or types do not fit.
    pub fn quantized_experts(&mut self, name: &str, node: &QuantizedExperts<'_>) -> Result<Value, OnnxError> {
        const OP: &str = "QMoE";
        let packed = |n: usize| Dim::Fixed(n * node.bits / 8);
        let blocks = |n: usize| Dim::Fixed(n / node.block_size);
        let (gate_up, down) = (node.gate_up.0.shape.0.as_slice(), node.down.0.shape.0.as_slice());
        let fits = match (node.x.shape.0.as_slice(), gate_up, down) {
            ([_, Dim::Fixed(n)], [experts, Dim::Fixed(twice), row], [same_experts, outer, inner]) => {
                experts == same_experts
                    && *experts == node.router_logits.shape.last()
                    && *row == packed(*n)
                    && *outer == Dim::Fixed(*n)
                    && *inner == packed(twice / 2)
                    && node.gate_up.1.shape == shape![experts.clone(), *twice, blocks(*n)]
                    && node.down.1.shape == shape![experts.clone(), *n, blocks(twice / 2)]
            }
            _ => false,
        };
        if !fits || node.router_logits.data_type != node.x.data_type {
            let reason = format!("{}, {} and {}", describe(node.x), describe(node.gate_up.0), describe(node.down.0));
            return Err(self.mismatch(OP, name, reason));
        }
        let op = swiglu(Op::microsoft(OP), node.experts_per_row)
            .int("expert_weight_bits", node.bits as i64)
            .int("block_size", node.block_size as i64)
            .int("accuracy_level", node.accuracy_level as i64);
        let inputs = [
            Some(node.x),
            Some(node.router_logits),
            Some(node.gate_up.0),
            Some(node.gate_up.1),
            None,
            Some(node.down.0),
            Some(node.down.1),
        ];
        let shape = node.x.shape.clone();
        let mut values = self.node_with(op, name, &inputs, vec![Some((name, node.x.data_type, shape))])?;
        values.pop().ok_or_else(|| OnnxError::UnknownValue { name: name.to_owned() })
    }
}
