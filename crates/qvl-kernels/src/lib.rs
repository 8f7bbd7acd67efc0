//! Products of float32 matrices, as fast as the vector units of the machine.
//!
//! Matrices are row-major. Work is shared by the threads of the current [`ThreadPool`]. Each element is summed in an order
//! that depends on the kernel, which is chosen by the kind of machine, and not on the number of threads or on the shape of
//! the product: a row of a result does not change with the rows that are computed beside it. NaN and infinities
//! propagate. Memory beside the operands is at most 16 MiB for the left-hand side and 4 MiB a thread for the right-hand
//! one, or what a tile's lines need if k is larger than that allows.

#[cfg(target_arch = "x86_64")]
mod amx;
mod attention;
mod elementwise;
mod gram;
mod grid;
#[cfg(target_arch = "x86_64")]
mod int16;
mod kernel;
mod lanes;
pub mod limits;
mod linear;
mod matmul;
mod pack;
mod pool;
mod product;
#[cfg(test)]
mod reference;
mod rounding;
mod rows;
mod view;

pub use attention::{CacheElement, Int8Block, KEY_PANEL, KeyValues, attend_causal, attend_full};
pub use elementwise::{gated_silu, gelu, gelu_tanh, layer_norm, rms_norm, rms_norm_in_place, rotate};
pub use gram::add_gram;
pub use kernel::vector_unit;
pub use linear::{Arithmetic, Blocks, Elements, Input, Linear, Matrix, linear, linear_of};
pub use matmul::{matmul_nn_sub, matmul_nt, matmul_rows};
pub use pool::{ThreadPool, current_num_threads, for_each, map};
pub use rows::Rows;
pub use view::{View, ViewMut};
