//! Pictures and videos of a request: where they come from, and loading them within the limits.

mod data_url;
mod kept;
mod load;
mod room;
mod size;
mod source;

pub(crate) use kept::KeptPictures;
pub(crate) use load::{Loaded, Loader};
pub(crate) use room::{PreparedRoom, Room};
pub(crate) use size::estimated_bytes;
pub(crate) use source::{Source, Sources};
