//! Many answers at once on one model.
//!
//! A [`Service`] is a handle to a thread that owns a [`Pipeline`](crate::Pipeline)'s engine. Callers prepare prompts on
//! threads of their own and submit them as [`Job`]s; what becomes of a job comes as [`Event`]s. The thread goes round and
//! round: it admits jobs in the order they came, does one piece of work for a prompt (a part of a picture, or a
//! chunk of tokens; prompts take turns), and then one decode step for all answers that are being generated.
//!
//! Keys and values of finished answers are kept as long as there is room, and a new prompt goes on from the longest
//! beginning that it shares with one of them or with a running one. On the engine `cpu` a row's result depends
//! neither on the rows beside it nor on where the chunks of a prompt begin, so an answer is the same whatever else runs.
//! ONNX Runtime chooses its arithmetic by the shapes of its inputs: there, what a prompt shares with others can
//! change the last bits of its logits.

mod beginning;
mod handle;
mod inbox;
mod job;
mod kept;
mod options;
mod running;
mod scheduler;
mod statistics;
mod submit_error;

pub use handle::Service;
pub use job::{Event, Job};
pub use options::ServiceOptions;
pub use statistics::Statistics;
pub use submit_error::SubmitError;

#[cfg(test)]
mod tests;
