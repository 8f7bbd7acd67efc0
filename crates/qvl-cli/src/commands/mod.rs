//! What the commands do.

mod chat;
mod completions;
mod export;
mod inspect;
mod run;
mod runtime;

pub use chat::chat;
pub use completions::completions;
pub use export::export;
pub use inspect::inspect;
pub use run::run;
pub use runtime::runtime_where;
