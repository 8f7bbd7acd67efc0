//! How fast a package is on this machine, beside what the machine can do.
//!
//! A [`Bench`] measures one package with one engine or several: opening it, encoding pictures, prefill and decoding,
//! and the peak of resident memory. Every run also measures the machine's [`Limits`]: machines differ and a neighbour's
//! load moves all figures, so what is worth comparing is a fraction of a limit, or the ratio of two engines, within one
//! run. Both are formed run by run; of all runs the median, the least and the greatest are reported ([`Range`]).
//!
//! * decoding is held against the memory's speed: [a token's bytes](DecodeBytes) over [`Limits::read_bandwidth`]
//! * prefill and pictures against arithmetic: [operations](prefill_operations) over [`Limits::int8_peak`] where the
//!   graph's matrices are in blocks and may be computed with as int8, and over [`Limits::float32_peak`] otherwise

mod bytes;
mod engine_run;
mod error;
mod figures;
mod inputs;
mod limits;
mod memory;
mod operations;
mod plan;
mod range;
mod rounds;
mod tasks;

pub use bytes::DecodeBytes;
pub use error::BenchError;
pub use figures::{EngineFigures, Figures, LimitFigures, MeasureFigures, Ratio};
pub use limits::{Bound, Limits, Machine};
pub use operations::{prefill_operations, vision_operations};
pub use plan::{LeftOut, Measure, Part};
pub use range::Range;
pub use rounds::{Bench, BenchOptions, OnStep};
