use std::fmt;
use std::str::FromStr;

/// The program that computes what a package's graphs say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum EngineChoice {
    /// The one that suits the device.
    #[default]
    Auto,
    /// Our own, on the processor.
    Cpu,
    /// ONNX Runtime.
    Ort,
}

impl EngineChoice {
    /// All choices.
    pub const ALL: [Self; 3] = [Self::Auto, Self::Cpu, Self::Ort];

    /// The name that [`FromStr`] reads.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Cpu => "cpu",
            Self::Ort => "ort",
        }
    }
}

impl fmt::Display for EngineChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for EngineChoice {
    type Err = UnknownEngine;

    fn from_str(text: &str) -> Result<Self, UnknownEngine> {
        let name = text.to_ascii_lowercase();
        Self::ALL.into_iter().find(|choice| choice.name() == name).ok_or_else(|| UnknownEngine(text.to_owned()))
    }
}

/// The name of an engine that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown engine `{0}`; use one of {names}", names = EngineChoice::ALL.map(EngineChoice::name).join(", "))]
pub struct UnknownEngine(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for choice in EngineChoice::ALL {
            assert_eq!(choice.to_string().to_uppercase().parse(), Ok(choice));
        }
    }

    #[test]
    fn unknown_names_list_the_known() {
        let error = "onnx".parse::<EngineChoice>().unwrap_err().to_string();
        assert_eq!(error, "unknown engine `onnx`; use one of auto, cpu, ort");
    }
}
