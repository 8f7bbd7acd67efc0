//! Linear layers: float32 rows times matrices as a package stores them.

#[cfg(target_arch = "x86_64")]
mod bf16;
mod blocks;
mod dense;
mod gemv;
#[cfg(all(test, target_arch = "x86_64"))]
mod half_problem;
mod input;
#[cfg(target_arch = "x86_64")]
pub(crate) mod int16;
pub(crate) mod int8;
mod pieces;
#[cfg(test)]
mod plain;
mod row_of_blocks;
#[cfg(test)]
mod tests;

pub use blocks::Blocks;
use half::f16;
pub use input::Input;

use crate::kernel;
use crate::matmul::expect_shape;

/// A matrix [outputs, inputs] of a linear layer.
#[derive(Debug, Clone, Copy)]
pub struct Matrix<'a> {
    /// Length of a row that goes in.
    pub inputs: usize,
    /// Length of a row that comes out.
    pub outputs: usize,
    /// The elements.
    pub elements: Elements<'a>,
}

/// How a matrix's elements are stored.
#[derive(Debug, Clone, Copy)]
pub enum Elements<'a> {
    /// float32, [inputs, outputs]: as `MatMul` takes its second operand.
    Float32(&'a [f32]),
    /// float16, [inputs, outputs].
    Float16(&'a [f16]),
    /// Blocks of few bits, [outputs, inputs]: as `MatMulNBits` takes them.
    Blocks(Blocks<'a>),
}

/// What is computed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arithmetic {
    /// Rows and weights in float32, sums in float32.
    Float32,
    /// Where weights are in float16, they and the rows are rounded to int16 in blocks of 128 inputs, each with the scale of
    /// its largest magnitude over 4095; products of codes are summed as integers, blocks in float32. Where that is not
    /// faster than float32, and for other weights, as [`Arithmetic::Float32`]. Attention of a whole frame has its operands
    /// rounded to int16.
    Int16,
    /// Where weights are in float16 and the machine has AMX, they and the rows are rounded to bf16, whose products are exact
    /// and summed in float32: three times as fast as in int16, with 8 bits of each number. Numbers below 2⁻¹²⁶ count as
    /// zero, and those from 2¹²⁸ − 2¹¹⁹ on as infinite. Everywhere else as [`Arithmetic::Int16`].
    Bf16,
    /// Where weights are in blocks, rows are rounded to int8 in the same blocks, each with the scale of its largest
    /// magnitude over 127; products of codes are summed as integers, blocks in float32. float32 and float16 weights are
    /// computed with as in [`Arithmetic::Float32`]. Attention of a whole frame is as with [`Arithmetic::Int16`].
    Int8,
}

/// One of the products that are computed from the same rows.
#[derive(Debug)]
pub struct Linear<'a> {
    /// The weights.
    pub matrix: Matrix<'a>,
    /// Added to each row: a number for each output.
    pub bias: Option<&'a [f32]>,
    /// The result, [m, outputs].
    pub out: &'a mut [f32],
}

/// Fills the result of each of `products` with `x` [m, inputs] · matrixᵀ + bias.
///
/// The work of all of them is shared by the threads of the current pool; rows are rounded once for all. A row of a
/// result depends neither on the number of threads nor on the rows that are computed beside it.
///
/// # Panics
/// If a length does not fit its shape, or the products take rows of different lengths.
#[track_caller]
pub fn linear(x: &[f32], m: usize, products: &mut [Linear<'_>], arithmetic: Arithmetic) {
    linear_of(Input::Rows(x), m, products, arithmetic);
}

/// [`linear`] of `m` rows that are still to be computed: the same bits as with rows that were computed before.
///
/// Where all products round their rows to int8, each strip of rows is rounded right after it was computed, while it is
/// in the cache.
///
/// # Panics
/// As for [`linear`].
#[track_caller]
pub fn linear_of(input: Input<'_>, m: usize, products: &mut [Linear<'_>], arithmetic: Arithmetic) {
    for product in &*products {
        input.check(m, product.matrix.inputs);
        product.check(m);
    }
    let in_int8 = |product: &&mut Linear<'_>| {
        arithmetic == Arithmetic::Int8 && matches!(product.matrix.elements, Elements::Blocks(_))
    };
    let (rounded, others): (Vec<_>, Vec<_>) = products.iter_mut().partition(in_int8);
    if others.is_empty() {
        return int8::linear(int8::kernel::best(), input, m, rounded);
    }
    let x = input.rows();
    int8::linear(int8::kernel::best(), Input::Rows(x), m, rounded);
    let exact = match arithmetic {
        Arithmetic::Int16 | Arithmetic::Bf16 => without_halves(x, m, others, arithmetic),
        Arithmetic::Float32 | Arithmetic::Int8 => others,
    };
    dense::linear(kernel::best(), x, m, exact);
}

/// Computes in 16 bits what can be, and gives back the others.
#[cfg(target_arch = "x86_64")]
fn without_halves<'p, 'a>(
    x: &[f32],
    m: usize,
    products: Vec<&'p mut Linear<'a>>,
    arithmetic: Arithmetic,
) -> Vec<&'p mut Linear<'a>> {
    let in_halves = |product: &&mut Linear<'_>| matches!(product.matrix.elements, Elements::Float16(_));
    let (halves, mut others): (Vec<_>, Vec<_>) = products.into_iter().partition(in_halves);
    let unit = crate::amx::Bf16::get().filter(|_| arithmetic == Arithmetic::Bf16);
    match (unit, crate::int16::best()) {
        (Some(unit), _) => bf16::linear(unit, x, m, halves),
        (None, Some(kernel)) => halves.into_iter().for_each(|product| int16::linear(kernel, x, product)),
        (None, None) => others.extend(halves),
    }
    others
}

/// Products in 16 bits are not faster here.
#[cfg(not(target_arch = "x86_64"))]
fn without_halves<'p, 'a>(
    _x: &[f32],
    _m: usize,
    products: Vec<&'p mut Linear<'a>>,
    _arithmetic: Arithmetic,
) -> Vec<&'p mut Linear<'a>> {
    products
}

impl Linear<'_> {
    /// Fills the result of rows without elements.
    fn without_inputs(&mut self) {
        self.out.fill(0.0);
        self.add_bias();
    }

    fn add_bias(&mut self) {
        let Some(bias) = self.bias else { return };
        for row in self.out.chunks_mut(bias.len().max(1)) {
            row.iter_mut().zip(bias).for_each(|(out, bias)| *out += bias);
        }
    }

    #[track_caller]
    fn check(&self, m: usize) {
        let Matrix { inputs, outputs, elements } = self.matrix;
        expect_shape("out", self.out.len(), m, outputs);
        if let Some(bias) = self.bias {
            expect_shape("bias", bias.len(), 1, outputs);
        }
        match elements {
            Elements::Float32(values) => expect_shape("weights", values.len(), inputs, outputs),
            Elements::Float16(values) => expect_shape("weights", values.len(), inputs, outputs),
            Elements::Blocks(blocks) => blocks.check(outputs, inputs),
        }
    }
}
