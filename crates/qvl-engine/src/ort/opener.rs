//! Opening a graph as a session.

use std::path::Path;

use ort::session::Session;
use ort::session::builder::{AutoDevicePolicy, SessionBuilder};
use ort::value::{Outlet, TensorElementType};

use super::provider;
use crate::runtime::{self, Runtime};
use crate::{Device, EngineError, EngineOptions, KvPrecision};

/// What every session of an engine is opened with.
#[derive(Debug)]
pub(super) struct Opener {
    runtime: Runtime,
    device: Device,
    threads: usize,
}

impl Opener {
    /// Loads the library and checks that it has the device.
    pub(super) fn new(options: &EngineOptions) -> Result<Self, EngineError> {
        // A graph computes in the types that it has.
        if options.precise {
            return Err(EngineError::PreciseOrt);
        }
        if options.kv_cache != KvPrecision::Auto {
            return Err(EngineError::KvCacheOrt);
        }
        let runtime = runtime::load(options.ort_library.as_deref())?;
        provider::providers(options.device, &runtime.library)?;
        Ok(Self { runtime, device: options.device, threads: options.thread_count() })
    }

    /// The device that the options name.
    pub(super) fn device(&self) -> Device {
        self.device
    }

    /// Opens the graph at `path` on the engine's device, with all of its threads.
    pub(super) fn open(&self, path: &Path) -> Result<Session, EngineError> {
        self.open_on(path, self.device, self.threads)
    }

    /// Opens the graph at `path` on the processor, with one thread: a table look-up has no work for more.
    pub(super) fn open_small(&self, path: &Path) -> Result<Session, EngineError> {
        self.open_on(path, Device::Cpu, 1)
    }

    fn open_on(&self, path: &Path, device: Device, threads: usize) -> Result<Session, EngineError> {
        let failed = |reason| EngineError::Open { path: path.to_path_buf(), reason };
        let builder = self.builder(threads).map_err(failed)?;
        let providers = provider::providers(device, &self.runtime.library)?;
        let mut builder = builder
            .with_execution_providers(providers)
            .map_err(|error| EngineError::Device { device, reason: error.into() })?;
        builder.commit_from_file(path).map_err(failed)
    }

    fn builder(&self, threads: usize) -> ort::Result<SessionBuilder> {
        Ok(SessionBuilder::new(&self.runtime.environment)?
            // No other provider than the ones asked for. Left alone, macOS would add CoreML.
            .with_auto_device(AutoDevicePolicy::PreferCPU)?
            .with_intra_threads(threads)?
            .with_inter_threads(1)?
            // A pattern is kept for each combination of input shapes, and every step of a decode is a new one.
            .with_memory_pattern(false)?)
    }
}

/// The inputs or outputs of one graph file, to be checked against the package's contract.
#[derive(Debug, Clone, Copy)]
pub(super) struct Contract<'a> {
    path: &'a Path,
    side: &'static str,
    outlets: &'a [Outlet],
}

impl<'a> Contract<'a> {
    /// The inputs of a session.
    pub(super) fn inputs(path: &'a Path, session: &'a Session) -> Self {
        Self { path, side: "input", outlets: session.inputs() }
    }

    /// The outputs of a session.
    pub(super) fn outputs(path: &'a Path, session: &'a Session) -> Self {
        Self { path, side: "output", outlets: session.outputs() }
    }

    /// The type of the floating-point tensor `name`: float32 or float16.
    pub(super) fn float(&self, name: &str) -> Result<TensorElementType, EngineError> {
        match self.tensor_type(name)? {
            found @ (TensorElementType::Float32 | TensorElementType::Float16) => Ok(found),
            found => Err(self.broken(format!("its {} `{name}` is {found}, not float32 or float16", self.side))),
        }
    }

    /// Checks that `name` is a tensor of int64.
    pub(super) fn int64(&self, name: &str) -> Result<(), EngineError> {
        self.is(name, TensorElementType::Int64)
    }

    /// Checks that `name` is a tensor of type `expected`.
    pub(super) fn is(&self, name: &str, expected: TensorElementType) -> Result<(), EngineError> {
        match self.tensor_type(name)? {
            found if found == expected => Ok(()),
            found => Err(self.broken(format!("its {} `{name}` is {found}, not {expected}", self.side))),
        }
    }

    /// Checks that there are no others than `count`.
    pub(super) fn count(&self, count: usize) -> Result<(), EngineError> {
        let found = self.outlets.len();
        if found == count { Ok(()) } else { Err(self.broken(format!("it has {found} {}s, not {count}", self.side))) }
    }

    fn tensor_type(&self, name: &str) -> Result<TensorElementType, EngineError> {
        let outlet = self.outlets.iter().find(|outlet| outlet.name() == name);
        outlet
            .and_then(|outlet| outlet.dtype().tensor_type())
            .ok_or_else(|| self.broken(format!("it has no tensor {} `{name}`", self.side)))
    }

    fn broken(&self, reason: String) -> EngineError {
        EngineError::Contract { path: self.path.to_path_buf(), reason }
    }
}
