//! The program `qvl`.
fn main() {}
