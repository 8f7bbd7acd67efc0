use crate::SequenceId;

/// One token to append to one sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodeStep {
    /// The sequence.
    pub sequence: SequenceId,
    /// The token's id.
    pub token: u32,
    /// Its position, on all three axes.
    pub position: i64,
}
