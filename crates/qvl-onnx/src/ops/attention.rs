//! Attention and rotary embedding, by ONNX Runtime's contributed operators.

use crate::builder::Op;
use crate::ops::arithmetic::describe;
use crate::{DataType, Dim, GraphBuilder, OnnxError, Shape, Value};

/// Inputs of a `GroupQueryAttention` node with a KV cache.
#[derive(Debug)]
pub struct GroupQueryAttention<'a> {
    /// Queries, [batch, sequence, query heads · head size].
    pub query: &'a Value,
    /// Keys, [batch, sequence, key-value heads · head size].
    pub key: &'a Value,
    /// Values, as the keys.
    pub value: &'a Value,
    /// Keys of the positions before, [batch, key-value heads, past, head size].
    pub past_key: &'a Value,
    /// Values of the positions before, as their keys.
    pub past_value: &'a Value,
    /// For each row of the batch one less than its number of positions so far, `[batch]`, int32.
    pub last_position: &'a Value,
    /// Number of positions of the longest row, a single int32.
    pub total: &'a Value,
    /// Number of query heads.
    pub query_heads: usize,
    /// Number of key-value heads.
    pub key_value_heads: usize,
    /// Size of a head.
    pub head_size: usize,
    /// What a cache after this node is called in its declared shape.
    pub present: Dim,
}

/// Outputs of a `GroupQueryAttention` node.
#[derive(Debug)]
pub struct GroupQueryOutputs {
    /// [batch, sequence, query heads · head size].
    pub output: Value,
    /// Keys of all positions, [batch, key-value heads, total, head size].
    pub present_key: Value,
    /// Values of all positions, as their keys.
    pub present_value: Value,
}

impl GraphBuilder<'_> {
    /// Rotary embedding with halves rotated against each other.
    ///
    /// `x` is [batch, sequence, heads · head size]; row `positions[b, s]` of `cos` and `sin` (each [rows, head size / 2])
    /// holds the angles of that position. `positions` may also be the single integer 0: rows 0 .. sequence.
    ///
    /// # Errors
    /// If the types or sizes do not fit.
    pub fn rotary(
        &mut self,
        name: &str,
        x: &Value,
        positions: &Value,
        cos: &Value,
        sin: &Value,
    ) -> Result<Value, OnnxError> {
        let fits = x.shape.rank() == 3
            && positions.data_type == DataType::Int64
            && cos.data_type == x.data_type
            && sin.data_type == x.data_type
            && cos.shape == sin.shape;
        if !fits {
            return Err(self.mismatch("RotaryEmbedding", name, format!("{} with {}", describe(x), describe(cos))));
        }
        let op = Op::microsoft("RotaryEmbedding").int("interleaved", 0);
        self.node(op, name, &[x, positions, cos, sin], x.data_type, x.shape.clone())
    }

    /// Attention of every position of a row to every other; queries, keys and values are [batch, sequence, width].
    ///
    /// Without a mask ONNX Runtime never holds the sequence × sequence scores.
    ///
    /// # Errors
    /// If the shapes or types differ.
    pub fn full_attention(
        &mut self,
        name: &str,
        query: &Value,
        key: &Value,
        value: &Value,
        heads: usize,
    ) -> Result<Value, OnnxError> {
        let same = |other: &Value| other.shape == query.shape && other.data_type == query.data_type;
        if !same(key) || !same(value) || query.shape.rank() != 3 {
            return Err(self.mismatch(
                "MultiHeadAttention",
                name,
                format!("{} with {}", describe(query), describe(key)),
            ));
        }
        let op = Op::microsoft("MultiHeadAttention").int("num_heads", heads as i64);
        self.node(op, name, &[query, key, value], query.data_type, query.shape.clone())
    }

    /// Causal attention with a KV cache, several query heads sharing a key-value head.
    ///
    /// A runtime that is given one buffer as past and present updates it in place.
    ///
    /// # Errors
    /// If the sizes or types do not fit.
    pub fn group_query_attention(
        &mut self,
        name: &str,
        node: &GroupQueryAttention<'_>,
    ) -> Result<GroupQueryOutputs, OnnxError> {
        const OP: &str = "GroupQueryAttention";
        let width = |heads: usize| Dim::Fixed(heads * node.head_size);
        let tensors = [node.key, node.value, node.past_key, node.past_value];
        let fits = node.query.shape.last() == width(node.query_heads)
            && node.key.shape.last() == width(node.key_value_heads)
            && node.key.shape == node.value.shape
            && node.past_key.shape == node.past_value.shape
            && node.past_key.shape.last() == Dim::Fixed(node.head_size)
            && tensors.iter().all(|t| t.data_type == node.query.data_type)
            && node.last_position.data_type == DataType::Int32
            && node.total.data_type == DataType::Int32;
        if !fits {
            let reason = format!("{}, {} and {}", describe(node.query), describe(node.key), describe(node.past_key));
            return Err(self.mismatch(OP, name, reason));
        }
        let mut present = node.past_key.shape.0.clone();
        present[2] = node.present.clone();
        let present = Shape(present);
        let (key, value) = (format!("{name}.present_key"), format!("{name}.present_value"));
        let data_type = node.query.data_type;
        let outputs = vec![
            Some((name, data_type, node.query.shape.clone())),
            Some((key.as_str(), data_type, present.clone())),
            Some((value.as_str(), data_type, present)),
        ];
        let inputs = [node.query, node.key, node.value, node.past_key, node.past_value, node.last_position, node.total];
        let op = Op::microsoft(OP)
            .int("num_heads", node.query_heads as i64)
            .int("kv_num_heads", node.key_value_heads as i64)
            .float("scale", 1.0 / (node.head_size as f32).sqrt());
        let mut values = self.node_with(op, name, &inputs.map(Some), outputs)?.into_iter();
        match (values.next(), values.next(), values.next()) {
            (Some(output), Some(present_key), Some(present_value)) => {
                Ok(GroupQueryOutputs { output, present_key, present_value })
            }
            _ => Err(OnnxError::UnknownValue { name: name.to_owned() }),
        }
    }
}
