//! What the commands do.

mod bench;
mod chat;
mod compare;
mod completions;
mod eval;
mod export;
mod inspect;
mod lines;
mod questions;
mod requantize;
mod run;
mod runtime;
mod serve;

pub use bench::bench;
pub use chat::chat;
pub use compare::compare;
pub use completions::completions;
pub use eval::eval;
pub use export::export;
pub use inspect::inspect;
pub use requantize::requantize;
pub use run::run;
pub use runtime::runtime_where;
pub use serve::serve;
