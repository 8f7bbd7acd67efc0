//! Execution providers: which one serves a device, and where its memory is.

use ort::ep::{self, ExecutionProvider as _, ExecutionProviderDispatch};
use ort::memory::AllocationDevice;

use crate::runtime::Library;
use crate::{Device, EngineError};

/// The providers of a session for `device`, the preferred one first. The processor takes what that one cannot.
///
/// # Errors
/// If the library was built without the device's provider.
pub(super) fn providers(device: Device, library: &Library) -> Result<Vec<ExecutionProviderDispatch>, EngineError> {
    let missing = || EngineError::NoDevice { device, library: library.path.clone(), mend: mend(device) };
    if !is_available(device).map_err(|reason| EngineError::Device { device, reason })? {
        return Err(missing());
    }
    let preferred = match device {
        Device::Cpu => None,
        Device::Cuda => Some(ep::CUDA::default().build()),
        Device::TensorRt => Some(ep::TensorRT::default().build()),
        Device::DirectMl => Some(ep::DirectML::default().build()),
        Device::CoreMl => Some(ep::CoreML::default().build()),
        Device::OpenVino => Some(ep::OpenVINO::default().build()),
        Device::MiGraphX => Some(ep::MIGraphX::default().build()),
    };
    let processor = ep::CPU::default().with_arena_allocator(true).build();
    Ok(preferred.into_iter().chain([processor]).map(ExecutionProviderDispatch::error_on_failure).collect())
}

/// Whether the loaded library was built with the device's provider.
fn is_available(device: Device) -> ort::Result<bool> {
    match device {
        Device::Cpu => ep::CPU::is_available(),
        Device::Cuda => ep::CUDA::is_available(),
        Device::TensorRt => ep::TensorRT::is_available(),
        Device::DirectMl => ep::DirectML::is_available(),
        Device::CoreMl => ep::CoreML::is_available(),
        Device::OpenVino => ep::OpenVINO::is_available(),
        Device::MiGraphX => ep::MIGraphX::is_available(),
    }
}

/// Which build has the device's provider.
fn mend(device: Device) -> &'static str {
    match device {
        Device::Cpu => "run `qvl runtime install` to get the official build",
        Device::Cuda | Device::TensorRt => {
            "install the Python package `onnxruntime-gpu` and set ORT_DYLIB_PATH to its `capi` directory"
        }
        Device::DirectMl => {
            "install the Python package `onnxruntime-directml` (Windows) and set ORT_DYLIB_PATH to its `capi` directory"
        }
        Device::CoreMl => "the official build for macOS has it: run `qvl runtime install` there",
        Device::OpenVino => {
            "install the Python package `onnxruntime-openvino` and set ORT_DYLIB_PATH to its `capi` directory"
        }
        Device::MiGraphX => {
            "install the Python package `onnxruntime-migraphx` and set ORT_DYLIB_PATH to its `capi` directory"
        }
    }
}

/// The device memory that the provider's kernels work in; `None` for the main memory.
pub(super) fn memory(device: Device) -> Option<AllocationDevice<'static>> {
    match device {
        Device::Cuda | Device::TensorRt => Some(AllocationDevice::CUDA),
        Device::DirectMl => Some(AllocationDevice::DIRECTML),
        Device::MiGraphX => Some(AllocationDevice::HIP),
        Device::Cpu | Device::CoreMl | Device::OpenVino => None,
    }
}
