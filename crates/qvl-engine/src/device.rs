use std::fmt;
use std::str::FromStr;

/// The kind of hardware, or the vendor's library, that runs the vision and the text graph.
///
/// [`Device::Cpu`] is in every build of ONNX Runtime, the others in builds made for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Device {
    /// The processor.
    #[default]
    Cpu,
    /// NVIDIA GPUs.
    Cuda,
    /// NVIDIA GPUs through TensorRT.
    TensorRt,
    /// Any DirectX 12 GPU, on Windows.
    DirectMl,
    /// Apple's accelerators.
    CoreMl,
    /// Intel's processors, GPUs and NPUs through OpenVINO.
    OpenVino,
    /// AMD GPUs through MIGraphX.
    MiGraphX,
}

impl Device {
    /// All devices.
    pub const ALL: [Self; 7] =
        [Self::Cpu, Self::Cuda, Self::TensorRt, Self::DirectMl, Self::CoreMl, Self::OpenVino, Self::MiGraphX];

    /// The name that [`FromStr`] reads.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
            Self::TensorRt => "tensorrt",
            Self::DirectMl => "directml",
            Self::CoreMl => "coreml",
            Self::OpenVino => "openvino",
            Self::MiGraphX => "migraphx",
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Device {
    type Err = UnknownDevice;

    fn from_str(text: &str) -> Result<Self, UnknownDevice> {
        let name = text.to_ascii_lowercase();
        Self::ALL.into_iter().find(|device| device.name() == name).ok_or_else(|| UnknownDevice(text.to_owned()))
    }
}

/// A device name that means nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown device `{0}`; use one of {names}", names = Device::ALL.map(Device::name).join(", "))]
pub struct UnknownDevice(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for device in Device::ALL {
            assert_eq!(device.to_string().parse(), Ok(device));
            assert_eq!(device.name().to_uppercase().parse(), Ok(device));
        }
    }

    #[test]
    fn unknown_names_list_the_known() {
        let error = "gpu".parse::<Device>().unwrap_err().to_string();
        assert_eq!(error, "unknown device `gpu`; use one of cpu, cuda, tensorrt, directml, coreml, openvino, migraphx");
    }
}
