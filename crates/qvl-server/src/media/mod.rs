//! Pictures and videos of a request: where they come from, and loading them within the limits.

mod data_url;
mod load;
mod room;
mod source;

pub(crate) use load::{Loader, estimated_bytes};
pub(crate) use room::{PreparedRoom, Room};
pub(crate) use source::{Source, Sources};
