//! Factors that go into weights as they are read: AWQ scales a matrix's inputs and takes that back in what makes them.

use std::collections::BTreeMap;
use std::sync::Arc;

/// Factors of a tensor's inputs and outputs, in the order in which the graph has them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fold {
    /// A factor for each column of a matrix; of several matrices, the same for all or one after the other.
    pub(crate) inputs: Option<Arc<[f32]>>,
    /// A factor for each row of a matrix, or each element of a vector; of several matrices one after the other.
    pub(crate) outputs: Option<Arc<[f32]>>,
}

impl Fold {
    /// The factors of a matrix that is stored transposed.
    pub(crate) fn transposed(self) -> Self {
        Self { inputs: self.outputs, outputs: self.inputs }
    }
}

/// The folds of a model, by the tensors' names.
pub(crate) type Folds = BTreeMap<String, Fold>;

/// Multiplies the rows of matrices of `dims` [count, rows, columns], counted through all of them from `first_row`.
pub(crate) fn apply(fold: &Fold, [_, rows, columns]: [usize; 3], first_row: usize, values: &mut [f32]) {
    for (row, values) in (first_row..).zip(values.chunks_exact_mut(columns)) {
        if let Some(outputs) = &fold.outputs {
            values.iter_mut().for_each(|value| *value *= outputs[row]);
        }
        if let Some(inputs) = &fold.inputs {
            let start = if inputs.len() == columns { 0 } else { row / rows * columns };
            values.iter_mut().zip(&inputs[start..]).for_each(|(value, factor)| *value *= factor);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_are_columns_and_outputs_rows() {
        let fold =
            |inputs: &[f32], outputs: &[f32]| Fold { inputs: Some(inputs.into()), outputs: Some(outputs.into()) };
        let mut values = [1.0; 6];
        apply(&fold(&[2.0, 3.0, 5.0], &[7.0, 11.0]), [1, 2, 3], 0, &mut values);
        assert_eq!(values, [14.0, 21.0, 35.0, 22.0, 33.0, 55.0]);

        // Two matrices of two rows and columns; the rows 1 and 2 are of different matrices.
        let mut values = [1.0; 4];
        apply(&fold(&[2.0, 3.0, 5.0, 7.0], &[1.0, 10.0, 100.0, 1000.0]), [2, 2, 2], 1, &mut values);
        assert_eq!(values, [20.0, 30.0, 500.0, 700.0]);
    }
}
