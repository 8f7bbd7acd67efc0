/// How much a service takes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServiceOptions {
    /// Jobs that may wait for a place; more are refused.
    pub max_queue: usize,
    /// Jobs that are worked on at once, at least one.
    pub max_batch: usize,
    /// Memory for keys and values, in bytes. Running jobs come first: one that is expected to exceed it waits, unless
    /// nothing else runs. What they leave is for sequences of finished answers, of which those used longest ago go first.
    pub cache_bytes: usize,
}

impl Default for ServiceOptions {
    /// For one machine and a handful of people; 2 GiB hold about 14,000 tokens of the 4B size in half precision.
    fn default() -> Self {
        Self { max_queue: 64, max_batch: 8, cache_bytes: 2 << 30 }
    }
}
