//! Moving elements: reshaping, slicing, gathering, joining.

use crate::builder::Op;
use crate::ops::arithmetic::describe;
use crate::{DataType, Dim, GraphBuilder, OnnxError, Shape, Value, shape};

impl GraphBuilder<'_> {
    /// Gives the elements the shape `target`: sizes, 0 for the input's own and one -1 for what is left.
    ///
    /// `result` names the new sizes.
    ///
    /// # Errors
    /// If `target` and `result` contradict each other.
    pub fn reshape(&mut self, name: &str, x: &Value, target: &[i64], result: Shape) -> Result<Value, OnnxError> {
        let fits = |(&size, dim): (&i64, &Dim)| size <= 0 || *dim == Dim::Fixed(size as usize);
        if target.len() != result.rank() || !target.iter().zip(&result.0).all(fits) {
            return Err(self.mismatch("Reshape", name, format!("{} to {target:?} is not {result}", describe(x))));
        }
        let target = self.ints(target)?;
        self.node(Op::new("Reshape"), name, &[x, &target], x.data_type, result)
    }

    /// As [`GraphBuilder::reshape`], with a target that the graph computes.
    ///
    /// # Errors
    /// If the target is no list of integers.
    pub fn reshape_to(&mut self, name: &str, x: &Value, target: &Value, result: Shape) -> Result<Value, OnnxError> {
        if target.data_type != DataType::Int64 || target.shape.rank() != 1 {
            return Err(self.mismatch("Reshape", name, format!("{} is no shape", describe(target))));
        }
        self.node(Op::new("Reshape"), name, &[x, target], x.data_type, result)
    }

    /// Reorders the axes.
    ///
    /// # Errors
    /// If `order` is not a permutation of the axes.
    pub fn transpose(&mut self, name: &str, x: &Value, order: &[usize]) -> Result<Value, OnnxError> {
        let mut sorted = order.to_vec();
        sorted.sort_unstable();
        if !sorted.iter().copied().eq(0..x.shape.rank()) {
            return Err(self.mismatch("Transpose", name, format!("{order:?} is no order of {}", describe(x))));
        }
        let dims = order.iter().map(|&axis| x.shape.0[axis].clone()).collect();
        let perm: Vec<i64> = order.iter().map(|&axis| axis as i64).collect();
        self.node(Op::new("Transpose").ints("perm", &perm), name, &[x], x.data_type, Shape(dims))
    }

    /// Takes the slices of `x` along `axis` at `indices`, whose axes take that axis' place.
    ///
    /// # Errors
    /// If the indices are no integers or the axis does not exist.
    pub fn gather(&mut self, name: &str, x: &Value, indices: &Value, axis: usize) -> Result<Value, OnnxError> {
        if indices.data_type != DataType::Int64 || axis >= x.shape.rank() {
            let reason = format!("{} cannot index axis {axis} of {}", describe(indices), describe(x));
            return Err(self.mismatch("Gather", name, reason));
        }
        let dims = [&x.shape.0[..axis], &indices.shape.0[..], &x.shape.0[axis + 1..]].concat();
        self.node(Op::new("Gather").int("axis", axis as i64), name, &[x, indices], x.data_type, Shape(dims))
    }

    /// The part of `x` from `start` to before `end` along `axis`; both are lists of one integer.
    ///
    /// # Errors
    /// If a bound is no integer or the axis does not exist.
    pub fn slice(
        &mut self,
        name: &str,
        x: &Value,
        bounds: (&Value, &Value),
        axis: usize,
        size: impl Into<Dim>,
    ) -> Result<Value, OnnxError> {
        let (start, end) = bounds;
        if start.data_type != DataType::Int64 || end.data_type != DataType::Int64 || axis >= x.shape.rank() {
            return Err(self.mismatch("Slice", name, format!("axis {axis} of {} has no such bounds", describe(x))));
        }
        let mut dims = x.shape.0.clone();
        dims[axis] = size.into();
        let axes = self.ints(&[axis as i64])?;
        self.node(Op::new("Slice"), name, &[x, start, end, &axes], x.data_type, Shape(dims))
    }

    /// Cuts the last axis into parts of these sizes.
    ///
    /// # Errors
    /// If the sizes do not sum up to the axis' size.
    pub fn split_last(&mut self, name: &str, x: &Value, sizes: &[usize]) -> Result<Vec<Value>, OnnxError> {
        if x.shape.last() != Dim::Fixed(sizes.iter().sum()) {
            return Err(self.mismatch("Split", name, format!("{} does not split into {sizes:?}", describe(x))));
        }
        let lengths: Vec<i64> = sizes.iter().map(|&size| size as i64).collect();
        let lengths = self.ints(&lengths)?;
        let labels: Vec<String> = (0..sizes.len()).map(|i| format!("{name}.{i}")).collect();
        let outputs =
            labels.iter().zip(sizes).map(|(label, &size)| Some((label.as_str(), x.data_type, x.shape.with_last(size))));
        self.node_with(Op::new("Split").int("axis", -1), name, &[Some(x), Some(&lengths)], outputs.collect())
    }

    /// Joins values along `axis`, where the result has size `size`.
    ///
    /// # Errors
    /// If types, ranks or the other axes differ.
    pub fn concat(
        &mut self,
        name: &str,
        parts: &[&Value],
        axis: usize,
        size: impl Into<Dim>,
    ) -> Result<Value, OnnxError> {
        let Some(first) = parts.first() else {
            return Err(self.mismatch("Concat", name, "there is nothing to join".to_owned()));
        };
        let agrees = |part: &&Value| {
            let dims = part.shape.0.iter().zip(&first.shape.0).enumerate();
            part.data_type == first.data_type
                && part.shape.rank() == first.shape.rank()
                && dims.into_iter().all(|(i, (a, b))| i == axis || a.agrees(b))
        };
        if axis >= first.shape.rank() || !parts.iter().all(agrees) {
            let parts: Vec<String> = parts.iter().map(|part| describe(part)).collect();
            return Err(self.mismatch("Concat", name, format!("cannot join {} along axis {axis}", parts.join(", "))));
        }
        let mut dims = first.shape.0.clone();
        dims[axis] = size.into();
        self.node(Op::new("Concat").int("axis", axis as i64), name, parts, first.data_type, Shape(dims))
    }

    /// Repeats `x` to the shape that the list `target` gives.
    ///
    /// # Errors
    /// If the target is no list of integers.
    pub fn expand(&mut self, name: &str, x: &Value, target: &Value, result: Shape) -> Result<Value, OnnxError> {
        if target.data_type != DataType::Int64 || target.shape.rank() != 1 {
            return Err(self.mismatch("Expand", name, format!("{} is no shape", describe(target))));
        }
        self.node(Op::new("Expand"), name, &[x, target], x.data_type, result)
    }

    /// The integers from 0 to before `end`, an integer without axes; `size` names how many they are.
    ///
    /// # Errors
    /// If `end` is no such integer.
    pub fn range(&mut self, name: &str, end: &Value, size: impl Into<Dim>) -> Result<Value, OnnxError> {
        if end.data_type != DataType::Int64 || end.shape.rank() != 0 {
            return Err(self.mismatch("Range", name, format!("{} is no single integer", describe(end))));
        }
        let (start, step) = (self.scalar_i64(0)?, self.scalar_i64(1)?);
        self.node(Op::new("Range"), name, &[&start, end, &step], DataType::Int64, Shape(vec![size.into()]))
    }

    /// Indices of the true elements: one column of indices for each, in row-major order.
    ///
    /// # Errors
    /// If the value is not known here.
    pub fn non_zero(&mut self, name: &str, x: &Value) -> Result<Value, OnnxError> {
        self.node(Op::new("NonZero"), name, &[x], DataType::Int64, shape![x.shape.rank(), Dim::Unknown])
    }

    /// A copy of `x` in which the slices at `indices` [n, axes] are replaced by `updates`.
    ///
    /// # Errors
    /// If the types do not fit.
    pub fn scatter_nd(&mut self, name: &str, x: &Value, indices: &Value, updates: &Value) -> Result<Value, OnnxError> {
        if indices.data_type != DataType::Int64 || updates.data_type != x.data_type {
            let reason = format!("{} cannot take {} at {}", describe(x), describe(updates), describe(indices));
            return Err(self.mismatch("ScatterND", name, reason));
        }
        self.node(Op::new("ScatterND"), name, &[x, indices, updates], x.data_type, x.shape.clone())
    }
}
