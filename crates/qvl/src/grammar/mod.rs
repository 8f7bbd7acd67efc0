//! What the tokens of an answer may be: JSON, JSON that is valid by a schema, calls of functions, one of some choices.
//!
//! A [`GrammarCompiler`] makes [`Grammar`]s for one model; each answer under one has a [`Constraint`], which excludes
//! the tokens that do not fit before the next is chosen. The crate `llguidance` works out which these are.
//!
//! Schemas are taken from strangers: what they may cost is limited before they are compiled (`limits`, `weight`), while
//! they are, and at every token; an answer under a grammar that exceeds a limit fails, and nothing else does.

mod compiler;
mod constraint;
mod error;
mod limits;
mod tools;
mod vocabulary;
mod weight;

pub use compiler::{Grammar, GrammarCompiler};
pub use constraint::Constraint;
pub use error::GrammarError;
pub use tools::{Tool, ToolChoice};

#[cfg(test)]
mod tests;
