//! The server through its public face: a real socket, and the demo model behind it.

#![allow(clippy::unwrap_used, reason = "a failure here is a failure of the test")]

mod around;
mod chat;
mod client;
mod completions;
mod constrained;
mod hostile;
mod lifecycle;
mod responses;
mod support;
