//! Linear layers in plain Rust, which faster kernels are held against.

use super::blocks::code;
use super::{Arithmetic, Blocks, Elements, Linear};

/// The largest magnitude of a rounded input.
const LARGEST: f32 = 127.0;

/// As [`super::linear`].
pub(crate) fn linear(x: &[f32], m: usize, products: &mut [Linear<'_>], arithmetic: Arithmetic) {
    for product in products {
        let (inputs, outputs) = (product.matrix.inputs, product.matrix.outputs);
        for row in 0..m {
            let x = &x[row * inputs..][..inputs];
            for output in 0..outputs {
                let sum = match product.matrix.elements {
                    Elements::Float32(w) => dot(x, |input| w[input * outputs + output]),
                    Elements::Float16(w) => dot(x, |input| w[input * outputs + output].to_f32()),
                    Elements::Blocks(blocks) if arithmetic == Arithmetic::Int8 => int8_dot(x, &blocks, output),
                    Elements::Blocks(blocks) => {
                        let mut w = vec![0.0; inputs];
                        blocks.read_row(output, &mut w);
                        dot(x, |input| w[input])
                    }
                };
                product.out[row * outputs + output] = sum + product.bias.map_or(0.0, |bias| bias[output]);
            }
        }
    }
}

fn dot(x: &[f32], weight: impl Fn(usize) -> f32) -> f32 {
    x.iter().enumerate().map(|(input, x)| x * weight(input)).sum()
}

/// The row `x` in int8 times row `row` of `blocks`.
fn int8_dot(x: &[f32], blocks: &Blocks<'_>, row: usize) -> f32 {
    let (columns, mut sum) = (x.len(), 0.0);
    for (block, x) in x.chunks(blocks.size).enumerate() {
        let known = !x.iter().any(|x| x.is_nan());
        let largest = if known { x.iter().fold(0.0_f32, |largest, x| largest.max(x.abs())) } else { f32::NAN };
        let inverse = LARGEST / largest;
        let codes = blocks.codes_of(row, block, columns);
        let zero_point = i32::from(blocks.zero_point(row, block, columns));
        let product = |(index, x): (usize, &f32)| {
            let rounded = if inverse.is_finite() { (x * inverse).round_ties_even() as i32 } else { 0 };
            rounded * (i32::from(code(codes, index, blocks.bits)) - zero_point)
        };
        let integer: i32 = x.iter().enumerate().map(product).sum();
        let scale = largest / LARGEST * blocks.scales[row * blocks.per_row(columns) + block];
        sum = (integer as f32).mul_add(scale, sum);
    }
    sum
}
