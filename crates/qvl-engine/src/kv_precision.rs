use std::fmt;
use std::str::FromStr;

/// What the engine `cpu` keeps keys and values in.
///
/// Attention computes in single precision whatever they are read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum KvPrecision {
    /// Half precision; single where the engine is precise or the package is in single precision.
    #[default]
    Auto,
    /// Single precision.
    F32,
    /// Half precision.
    F16,
    /// Blocks of 32 numbers in int8 with a scale each, in 53 % of the memory of half precision.
    Int8,
}

impl KvPrecision {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Auto, Self::F32, Self::F16, Self::Int8];

    /// The name that [`FromStr`] reads.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Int8 => "int8",
        }
    }
}

impl fmt::Display for KvPrecision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for KvPrecision {
    type Err = UnknownKvPrecision;

    fn from_str(text: &str) -> Result<Self, UnknownKvPrecision> {
        let name = text.to_ascii_lowercase();
        Self::ALL.into_iter().find(|kind| kind.name() == name).ok_or_else(|| UnknownKvPrecision(text.to_owned()))
    }
}

/// The name of a precision that is none for keys and values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown precision `{0}` of keys and values; use one of {names}", names = KvPrecision::ALL.map(KvPrecision::name).join(", "))]
pub struct UnknownKvPrecision(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for precision in KvPrecision::ALL {
            assert_eq!(precision.to_string().to_uppercase().parse(), Ok(precision));
        }
    }

    #[test]
    fn unknown_names_list_the_known() {
        let error = "q8_0".parse::<KvPrecision>().unwrap_err().to_string();
        assert_eq!(error, "unknown precision `q8_0` of keys and values; use one of auto, f32, f16, int8");
    }
}
