//! The operators, as methods of the graph builder, grouped by what they do.

pub(crate) mod arithmetic;
pub(crate) mod attention;
pub(crate) mod experts;
pub(crate) mod layout;
pub(crate) mod loops;
pub(crate) mod network;
pub(crate) mod quantized;
