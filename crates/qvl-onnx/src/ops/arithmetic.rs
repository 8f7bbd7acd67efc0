//! Element by element: arithmetic, comparison, conversion.

use crate::builder::Op;
use crate::{DataType, Dim, GraphBuilder, OnnxError, Shape, Value};

/// Defines methods for operators of two inputs of one type that broadcast against each other.
macro_rules! binary {
    ($($(#[$doc:meta])* $method:ident = $op:literal $(-> $result:expr)?;)*) => {
        impl GraphBuilder<'_> {
            $($(#[$doc])*
            ///
            /// # Errors
            /// If the types differ or the shapes do not broadcast.
            pub fn $method(&mut self, name: &str, a: &Value, b: &Value) -> Result<Value, OnnxError> {
                #[allow(unused_variables)]
                let result = a.data_type;
                $(let result = $result;)?
                self.binary($op, name, a, b, result)
            })*
        }
    };
}

binary! {
    /// `a + b`.
    add = "Add";
    /// `a - b`.
    sub = "Sub";
    /// `a * b`.
    mul = "Mul";
    /// `a / b`; integers are divided as in C.
    div = "Div";
    /// Remainder with the sign of `b`.
    modulo = "Mod";
    /// The smaller of both.
    min = "Min";
    /// The larger of both.
    max = "Max";
    /// Whether both are equal.
    equal = "Equal" -> DataType::Bool;
    /// Whether `a` is greater.
    greater = "Greater" -> DataType::Bool;
    /// Whether one of both is true.
    or = "Or" -> DataType::Bool;
    /// Whether both are true.
    and = "And" -> DataType::Bool;
}

/// Defines methods for operators that keep type and shape.
macro_rules! unary {
    ($($(#[$doc:meta])* $method:ident = $op:literal;)*) => {
        impl GraphBuilder<'_> {
            $($(#[$doc])*
            ///
            /// # Errors
            /// If the value is not known here.
            pub fn $method(&mut self, name: &str, x: &Value) -> Result<Value, OnnxError> {
                self.node(Op::new($op), name, &[x], x.data_type, x.shape.clone())
            })*
        }
    };
}

unary! {
    /// The largest integer that is not greater.
    floor = "Floor";
    /// Cosine of an angle in radians.
    cos = "Cos";
    /// Sine of an angle in radians.
    sin = "Sin";
    /// `1 / (1 + exp(-x))`.
    sigmoid = "Sigmoid";
}

impl GraphBuilder<'_> {
    /// Converts to another element type; a value that has it already is returned as it is.
    ///
    /// # Errors
    /// If the value is not known here.
    pub fn cast(&mut self, name: &str, x: &Value, to: DataType) -> Result<Value, OnnxError> {
        if x.data_type == to {
            return Ok(x.clone());
        }
        self.node(Op::new("Cast").int("to", to.code().into()), name, &[x], to, x.shape.clone())
    }

    /// `a` where `condition` holds, else `b`.
    ///
    /// # Errors
    /// If the condition is not boolean, the types differ or the shapes do not broadcast.
    pub fn select(&mut self, name: &str, condition: &Value, a: &Value, b: &Value) -> Result<Value, OnnxError> {
        let fits = condition.data_type == DataType::Bool && a.data_type == b.data_type;
        let shape = broadcast(&a.shape, &b.shape).and_then(|shape| broadcast(&condition.shape, &shape));
        match shape {
            Some(shape) if fits => self.node(Op::new("Where"), name, &[condition, a, b], a.data_type, shape),
            _ => {
                Err(self.mismatch("Where", name, format!("cannot choose between {} and {}", describe(a), describe(b))))
            }
        }
    }

    /// The sum along `axis`, which is kept with size 1.
    ///
    /// # Errors
    /// If there is no such axis.
    pub fn reduce_sum(&mut self, name: &str, x: &Value, axis: usize) -> Result<Value, OnnxError> {
        self.reduce("ReduceSum", name, x, axis)
    }

    /// The product along `axis`, which is kept with size 1.
    ///
    /// # Errors
    /// If there is no such axis.
    pub fn reduce_product(&mut self, name: &str, x: &Value, axis: usize) -> Result<Value, OnnxError> {
        self.reduce("ReduceProd", name, x, axis)
    }

    /// The maximum along `axis`, which is kept with size 1.
    ///
    /// # Errors
    /// If there is no such axis.
    pub fn reduce_max(&mut self, name: &str, x: &Value, axis: usize) -> Result<Value, OnnxError> {
        self.reduce("ReduceMax", name, x, axis)
    }

    fn reduce(&mut self, op: &'static str, name: &str, x: &Value, axis: usize) -> Result<Value, OnnxError> {
        let mut dims = x.shape.0.clone();
        match dims.get_mut(axis) {
            Some(dim) => *dim = Dim::Fixed(1),
            None => {
                return Err(self.mismatch(op, name, format!("{} has no axis {axis}", describe(x))));
            }
        }
        let axes = self.ints(&[axis as i64])?;
        self.node(Op::new(op), name, &[x, &axes], x.data_type, Shape(dims))
    }

    /// Index of the first largest element along `axis`, which is kept with size 1.
    ///
    /// # Errors
    /// If there is no such axis.
    pub fn arg_max(&mut self, name: &str, x: &Value, axis: usize) -> Result<Value, OnnxError> {
        let mut dims = x.shape.0.clone();
        match dims.get_mut(axis) {
            Some(dim) => *dim = Dim::Fixed(1),
            None => {
                return Err(self.mismatch("ArgMax", name, format!("{} has no axis {axis}", describe(x))));
            }
        }
        self.node(Op::new("ArgMax").int("axis", axis as i64), name, &[x], DataType::Int64, Shape(dims))
    }

    /// The sum of all elements before each one, along axis 0.
    ///
    /// # Errors
    /// If the value is not known here.
    pub fn exclusive_sum(&mut self, name: &str, x: &Value) -> Result<Value, OnnxError> {
        let axis = self.scalar_i64(0)?;
        self.node(Op::new("CumSum").int("exclusive", 1), name, &[x, &axis], x.data_type, x.shape.clone())
    }

    fn binary(
        &mut self,
        op: &'static str,
        name: &str,
        a: &Value,
        b: &Value,
        result: DataType,
    ) -> Result<Value, OnnxError> {
        match broadcast(&a.shape, &b.shape) {
            Some(shape) if a.data_type == b.data_type => self.node(Op::new(op), name, &[a, b], result, shape),
            _ => Err(self.mismatch(op, name, format!("{} does not fit {}", describe(a), describe(b)))),
        }
    }
}

/// The shape of an operation on `a` and `b`, with axes aligned at the end and sizes of 1 repeated.
pub(crate) fn broadcast(a: &Shape, b: &Shape) -> Option<Shape> {
    let rank = a.rank().max(b.rank());
    let one = Dim::Fixed(1);
    let axis = |shape: &Shape, i: usize| {
        let missing = rank - shape.rank();
        if i < missing { one.clone() } else { shape.0[i - missing].clone() }
    };
    let dims = (0..rank).map(|i| match (axis(a, i), axis(b, i)) {
        (x, y) if x == y => Some(x),
        (x, y) if x == one => Some(y),
        (x, y) if y == one => Some(x),
        (Dim::Unknown, Dim::Fixed(n)) | (Dim::Fixed(n), Dim::Unknown) => Some(Dim::Fixed(n)),
        (x, y) if x.agrees(&y) => Some(Dim::Unknown),
        _ => None,
    });
    dims.collect::<Option<Vec<_>>>().map(Shape)
}

/// Type and shape, for messages.
pub(crate) fn describe(value: &Value) -> String {
    format!("`{}` {}{}", value.name, value.data_type, value.shape)
}

#[cfg(test)]
mod tests {
    use super::broadcast;
    use crate::{Dim, shape};

    #[test]
    fn shapes_broadcast_from_the_end() {
        let sum = broadcast(&shape!["rows", 1, 4], &shape![3, 1]);
        assert_eq!(sum, Some(shape!["rows", 3, 4]));
        assert_eq!(broadcast(&shape!["rows"], &shape!["columns"]), None);
        assert_eq!(broadcast(&shape![2], &shape![3]), None);
        assert_eq!(broadcast(&shape![Dim::Unknown], &shape![3]), Some(shape![3]));
    }
}
