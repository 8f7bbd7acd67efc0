//! What the text decoder derives from mask and positions: the order of a padded batch, and the rotary tables (§5.2).

use qvl_checkpoint::TextConfig;
use qvl_onnx::{DataType, Dim, GraphBuilder, OnnxError, Value, shape};

/// The order in which a batch's positions are computed, and how much of the cache each row fills.
///
/// `GroupQueryAttention` wants a row's tokens first and its padding last, because a row's cache is filled from the
/// front. Callers pad on the left as well, since generation goes on at the right. So a row's new positions are rolled
/// until its first token is in front; without padding on the left nothing moves.
pub(super) struct BatchOrder {
    /// Which row of [batch · sequence] stands at each place, [batch, sequence] int64.
    pub(super) rolled: Value,
    /// Where each row of [batch · sequence] went, [batch, sequence] int64.
    pub(super) unrolled: Value,
    /// Place of each batch row's last token among [batch · sequence], [batch, 1] int64.
    pub(super) last: Value,
    /// The places in order, [batch, sequence] int64.
    pub(super) places: Value,
    /// One less than the number of tokens so far, [batch] int32.
    pub(super) last_position: Value,
    /// Length of the longest row so far, one int32.
    pub(super) total: Value,
}

impl BatchOrder {
    /// Derives the order from `mask` [batch, total] and the new `embeds` [batch, sequence, ..].
    pub(super) fn new(g: &mut GraphBuilder<'_>, mask: &Value, embeds: &Value) -> Result<Self, OnnxError> {
        let one = g.scalar_i64(1)?;
        let batch = g.size_of("batch", embeds, 0)?;
        let batch = g.reshape("batch.count", &batch, &[], shape![])?;
        let sequence = g.size_of("sequence", embeds, 1)?;
        let length = g.reshape("sequence.count", &sequence, &[], shape![])?;
        let total = g.size_of("total", mask, 1)?;

        let tokens = g.reduce_sum("tokens", mask, 1)?;
        let last_position = g.sub("last_position", &tokens, &one)?;
        let last_position = g.reshape("last_position.list", &last_position, &[-1], shape!["batch_size"])?;
        let last_position = g.cast("last_position.int32", &last_position, DataType::Int32)?;

        let past = g.sub("past", &total, &sequence)?;
        let new = g.slice("new", mask, (&past, &total), 1, "sequence")?;
        let float = g.cast("new.float", &new, DataType::Float32)?;
        let leading = g.arg_max("leading", &float, 1)?;
        let count = g.reduce_sum("count", &new, 1)?;
        // A mask that is padded at its end to a fixed length says nothing about the new positions: all are tokens.
        let zero = g.scalar_i64(0)?;
        let unknown = g.equal("unknown", &count, &zero)?;
        let count = g.select("count.known", &unknown, &length, &count)?;

        let steps = g.range("steps", &length, "sequence")?;
        let rows = g.range("rows", &batch, "batch_size")?;
        let rows = g.mul("rows.start", &rows, &length)?;
        let rows = g.reshape("rows.column", &rows, &[-1, 1], shape!["batch_size", 1])?;
        let forward = g.add("forward", &steps, &leading)?;
        let forward = g.modulo("forward.wrapped", &forward, &length)?;
        let backward = g.sub("backward", &steps, &leading)?;
        let backward = g.modulo("backward.wrapped", &backward, &length)?;
        let end = g.sub("end", &count, &one)?;
        let total = g.reshape("total.count", &total, &[], shape![])?;
        Ok(Self {
            rolled: g.add("rolled", &rows, &forward)?,
            unrolled: g.add("unrolled", &rows, &backward)?,
            last: g.add("last", &rows, &end)?,
            places: g.add("places", &rows, &steps)?,
            last_position,
            total: g.cast("total.int32", &total, DataType::Int32)?,
        })
    }
}

/// The rows of `x` [batch, sequence, width] at `places` [batch, n], as [batch, n, width].
pub(super) fn take_rows(g: &mut GraphBuilder<'_>, name: &str, x: &Value, places: &Value) -> Result<Value, OnnxError> {
    let width = x.shape.last();
    let size = match width {
        Dim::Fixed(size) => size as i64,
        Dim::Symbol(_) | Dim::Unknown => {
            return Err(OnnxError::UnknownValue { name: format!("width of {}", x.name) });
        }
    };
    let flat = g.reshape(&format!("{name}.flat"), x, &[-1, size], shape![Dim::Unknown, width])?;
    g.gather(name, &flat, places, 0)
}

/// Rotary tables of the new positions.
pub(super) struct RotaryTables {
    /// Cosines, [batch · sequence, head size / 2] in the graph's type.
    pub(super) cos: Value,
    /// Sines, as the cosines.
    pub(super) sin: Value,
}

impl RotaryTables {
    /// Interleaved M-RoPE: each frequency turns with the position on one axis of `position_ids` [3, batch, sequence].
    pub(super) fn new(
        g: &mut GraphBuilder<'_>,
        config: &TextConfig,
        position_ids: &Value,
        order: &BatchOrder,
        float: DataType,
    ) -> Result<Self, OnnxError> {
        let half = config.head_dim / 2;
        let positions = g.transpose("by_token", position_ids, &[1, 2, 0])?;
        let positions = take_rows(g, "by_token.rolled", &positions, &order.rolled)?;
        let axes: Vec<i64> = (0..half).map(|k| config.rope.axis_of_frequency(k) as i64).collect();
        let axes = g.ints(&axes)?;
        let positions = g.gather("by_frequency", &positions, &axes, 2)?;
        let positions = g.cast("by_frequency.float", &positions, DataType::Float32)?;
        let frequencies = g.floats(&config.rope.inverse_frequencies(config.head_dim))?;
        let angles = g.mul("rotary_angles", &positions, &frequencies)?;
        let angles = g.reshape("rotary_angles.flat", &angles, &[-1, half as i64], shape![Dim::Unknown, half])?;
        let factor = config.rope.attention_factor();
        let cos = g.cos("cos", &angles)?;
        let sin = g.sin("sin", &angles)?;
        Ok(Self {
            cos: scaled_table(g, "cos", &cos, factor, float)?,
            sin: scaled_table(g, "sin", &sin, factor, float)?,
        })
    }
}

/// `values` times YaRN's attention factor, in the graph's type.
fn scaled_table(
    g: &mut GraphBuilder<'_>,
    name: &str,
    values: &Value,
    factor: f32,
    float: DataType,
) -> Result<Value, OnnxError> {
    let mut values = values.clone();
    if factor != 1.0 {
        let factor = g.scalar_f32(factor)?;
        values = g.mul(&format!("{name}.scaled"), &values, &factor)?;
    }
    g.cast(&format!("{name}.table"), &values, float)
}
