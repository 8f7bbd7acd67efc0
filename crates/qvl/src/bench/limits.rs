//! The machine, and the limits that no engine on it can pass.

use std::fs;

use qvl_kernels::ThreadPool;
use serde::Serialize;

/// What the figures were measured on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Machine {
    /// The processor's name; none where the system does not tell it.
    pub cpu: Option<String>,
    /// The vector unit that products use.
    pub vector_unit: &'static str,
    /// Threads of the engines and of the limits.
    pub threads: usize,
}

impl Machine {
    /// This machine, of which `threads` threads are used.
    pub(super) fn this(threads: usize) -> Self {
        let cpu = fs::read_to_string("/proc/cpuinfo").ok().as_deref().and_then(cpu_name);
        Self { cpu, vector_unit: qvl_kernels::vector_unit(), threads }
    }
}

/// The line `model name : …` of Linux's `/proc/cpuinfo`.
fn cpu_name(cpuinfo: &str) -> Option<String> {
    let (_, name) =
        cpuinfo.lines().filter_map(|line| line.split_once(':')).find(|(key, _)| key.trim() == "model name")?;
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}

/// What limits a measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// The memory's speed.
    ReadBandwidth,
    /// Integer arithmetic.
    Int8Peak,
    /// Floating-point arithmetic.
    Float32Peak,
}

/// What the machine can do, with all threads that the engines have.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Limits {
    /// Bytes a second that are read from memory.
    pub read_bandwidth: f64,
    /// Operations a second on int8, two for each multiply-add.
    pub int8_peak: f64,
    /// Operations a second in float32, two for each multiply-add.
    pub float32_peak: f64,
}

impl Limits {
    /// Measured by the threads of `pool`, in about a second.
    pub(super) fn measure(pool: &ThreadPool) -> Self {
        use qvl_kernels::limits::{float32_peak, int8_peak, read_bandwidth};
        pool.install(|| Self { read_bandwidth: read_bandwidth(), int8_peak: int8_peak(), float32_peak: float32_peak() })
    }

    /// The limit in bytes or operations a second.
    pub fn of(&self, bound: Bound) -> f64 {
        match bound {
            Bound::ReadBandwidth => self.read_bandwidth,
            Bound::Int8Peak => self.int8_peak,
            Bound::Float32Peak => self.float32_peak,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_is_named() {
        assert_eq!(cpu_name("processor\t: 0\nmodel name\t: A CPU @ 2 GHz\n").as_deref(), Some("A CPU @ 2 GHz"));
        assert_eq!(cpu_name("processor\t: 0\nmodel\t\t: 143\nmodel name\t:\n"), None);
    }
}
