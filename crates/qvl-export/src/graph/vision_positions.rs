//! Where a frame's patches lie: block order, interpolated position embedding, rotary angles (§4.2, §4.3).
//!
//! All of it is computed from the frame's height and width in patches, in int64 and float32.

use qvl_checkpoint::VisionConfig;
use qvl_onnx::{DataType, Dim, GraphBuilder, OnnxError, Value, shape};

/// What is known about a frame's patches, in the order in which they come.
pub(super) struct FramePatches {
    /// Row of each patch, [patches] int64.
    rows: Value,
    /// Column of each patch, [patches] int64.
    columns: Value,
    height: Value,
    width: Value,
}

/// Name of the number of patches of a frame in declared shapes.
pub(super) const FRAME: Dim = Dim::Symbol("frame_patches");

impl FramePatches {
    /// Enumerates the patches of a frame of `height` by `width`, integers without axes.
    ///
    /// The blocks that will be merged, `merge` by `merge` patches, come one after another in row-major order, and so do
    /// the patches in each block.
    pub(super) fn new(
        g: &mut GraphBuilder<'_>,
        height: &Value,
        width: &Value,
        merge: usize,
    ) -> Result<Self, OnnxError> {
        let count = g.mul("count", height, width)?;
        let index = g.range("index", &count, FRAME)?;
        let side = g.scalar_i64(merge as i64)?;
        let area = g.scalar_i64((merge * merge) as i64)?;
        let blocks_across = g.div("blocks_across", width, &side)?;
        let block = g.div("block", &index, &area)?;
        let inside = g.modulo("inside", &index, &area)?;
        let block_row = g.div("block_row", &block, &blocks_across)?;
        let block_column = g.modulo("block_column", &block, &blocks_across)?;
        let inside_row = g.div("inside_row", &inside, &side)?;
        let inside_column = g.modulo("inside_column", &inside, &side)?;
        let rows = coordinate_of(g, "rows", &block_row, &side, &inside_row)?;
        let columns = coordinate_of(g, "columns", &block_column, &side, &inside_column)?;
        Ok(Self { rows, columns, height: height.clone(), width: width.clone() })
    }

    /// The learned positions, a square table of `side`² rows stretched over the frame, [patches, hidden] float32.
    ///
    /// The table's corners fall on the frame's corners; between its entries values are interpolated linearly.
    pub(super) fn learned(&self, g: &mut GraphBuilder<'_>, table: &Value, side: usize) -> Result<Value, OnnxError> {
        let row = AxisTaps::new(g, "row", &self.rows, &self.height, side)?;
        let column = AxisTaps::new(g, "column", &self.columns, &self.width, side)?;
        let stride = g.scalar_i64(side as i64)?;
        let mut parts = Vec::new();
        for (r, (row_index, row_weight)) in row.taps().into_iter().enumerate() {
            for (c, (column_index, column_weight)) in column.taps().into_iter().enumerate() {
                let name = |part: &str| format!("tap{r}{c}.{part}");
                let line = g.mul(&name("line"), row_index, &stride)?;
                let index = g.add(&name("index"), &line, column_index)?;
                let entry = g.gather(&name("entry"), table, &index, 0)?;
                let weight = g.mul(&name("weight"), row_weight, column_weight)?;
                let weight = g.reshape(&name("weight_column"), &weight, &[-1, 1], shape![FRAME, 1])?;
                parts.push(g.mul(&name("part"), &entry, &weight)?);
            }
        }
        let upper = g.add("upper", &parts[0], &parts[1])?;
        let lower = g.add("lower", &upper, &parts[2])?;
        g.add("position_embedding", &lower, &parts[3])
    }

    /// The rotary angles, rows' in the first half and columns' in the second, [patches, head size / 2] float32.
    pub(super) fn rotary_angles(&self, g: &mut GraphBuilder<'_>, config: &VisionConfig) -> Result<Value, OnnxError> {
        let frequencies = config.inverse_frequencies();
        let half = frequencies.len();
        let frequencies = g.floats(&frequencies)?;
        let mut angles = Vec::new();
        for (axis, coordinate) in [("rows", &self.rows), ("columns", &self.columns)] {
            let position = g.cast(&format!("{axis}.float"), coordinate, DataType::Float32)?;
            let position = g.reshape(&format!("{axis}.column"), &position, &[-1, 1], shape![FRAME, 1])?;
            angles.push(g.mul(&format!("{axis}.angles"), &position, &frequencies)?);
        }
        g.concat("rotary_angles", &[&angles[0], &angles[1]], 1, 2 * half)
    }
}

fn coordinate_of(
    g: &mut GraphBuilder<'_>,
    name: &str,
    block: &Value,
    side: &Value,
    inside: &Value,
) -> Result<Value, OnnxError> {
    let corner = g.mul(&format!("{name}.corner"), block, side)?;
    g.add(name, &corner, inside)
}

/// Along one axis, the two entries of the table around each patch, and their weights.
struct AxisTaps {
    indices: [Value; 2],
    weights: [Value; 2],
}

impl AxisTaps {
    /// `position · (side − 1) / max(size − 1, 1)`, in float32 and in this order: the reference's rounding.
    fn new(
        g: &mut GraphBuilder<'_>,
        axis: &str,
        positions: &Value,
        size: &Value,
        side: usize,
    ) -> Result<Self, OnnxError> {
        let name = |part: &str| format!("{axis}.{part}");
        let one = g.scalar_i64(1)?;
        let gaps = g.sub(&name("gaps"), size, &one)?;
        let gaps = g.max(&name("gaps.positive"), &gaps, &one)?;
        let gaps = g.cast(&name("gaps.float"), &gaps, DataType::Float32)?;
        let position = g.cast(&name("position"), positions, DataType::Float32)?;
        let last = g.scalar_f32((side - 1) as f32)?;
        let stretched = g.mul(&name("stretched"), &position, &last)?;
        let place = g.div(&name("place"), &stretched, &gaps)?;
        let below = g.floor(&name("below"), &place)?;
        let second = g.sub(&name("weight1"), &place, &below)?;
        let unit = g.scalar_f32(1.0)?;
        let first = g.sub(&name("weight0"), &unit, &second)?;
        let low = g.cast(&name("index0"), &below, DataType::Int64)?;
        let next = g.add(&name("next"), &low, &one)?;
        let end = g.scalar_i64(side as i64 - 1)?;
        let high = g.min(&name("index1"), &next, &end)?;
        Ok(Self { indices: [low, high], weights: [first, second] })
    }

    fn taps(&self) -> [(&Value, &Value); 2] {
        [(&self.indices[0], &self.weights[0]), (&self.indices[1], &self.weights[1])]
    }
}
