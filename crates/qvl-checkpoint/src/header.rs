//! The header of a safetensors file, parsed as untrusted input.
//!
//! A file is an eight-byte little-endian length `n`, `n` bytes of JSON, then the data. The JSON maps each tensor's name to
//! its type, shape and byte range within the data. Nothing in it is believed before it is checked against the size of
//! the file, and memory is taken only in proportion to the header's own text.

use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de};

/// Longest header that is read, in bytes; the limit of the reference implementation.
pub(crate) const MAX_HEADER_BYTES: u64 = 100_000_000;
/// Most tensors of one file; the largest published model has 1388 in all its files.
const MAX_TENSORS: usize = 65_536;
const MAX_NAME_BYTES: usize = 512;
const MAX_RANK: usize = 8;
/// Types of the format and their bits per element; only three of them may hold weights.
const DTYPES: [(&str, u64); 20] = [
    ("BOOL", 8),
    ("F4", 4),
    ("F6_E2M3", 6),
    ("F6_E3M2", 6),
    ("U8", 8),
    ("I8", 8),
    ("F8_E5M2", 8),
    ("F8_E4M3", 8),
    ("F8_E8M0", 8),
    ("I16", 16),
    ("U16", 16),
    ("F16", 16),
    ("BF16", 16),
    ("I32", 32),
    ("U32", 32),
    ("F32", 32),
    ("C64", 64),
    ("F64", 64),
    ("I64", 64),
    ("U64", 64),
];

/// One tensor as the header describes it, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) dtype: &'static str,
    pub(crate) shape: Vec<usize>,
    /// First byte in the file, the header included.
    pub(crate) start: usize,
    /// Number of bytes.
    pub(crate) len: usize,
}

/// What is wrong with a safetensors file.
#[derive(Debug, thiserror::Error)]
pub enum HeaderError {
    /// Shorter than the length field.
    #[error("the file has {0} bytes, too few for a safetensors file; download it again")]
    TooShort(usize),
    /// The header would be longer than the file.
    #[error("the header claims {claimed} bytes, but only {available} follow; the file is damaged or truncated")]
    LongerThanFile {
        /// Length in the file's first eight bytes.
        claimed: u64,
        /// Bytes after them.
        available: usize,
    },
    /// The header is longer than any real one.
    #[error("the header claims {0} bytes, more than the limit of {MAX_HEADER_BYTES}")]
    TooLong(u64),
    /// The header's text is not what the format asks for.
    #[error("the header is not valid: {0}")]
    Syntax(serde_json::Error),
    /// A tensor's description contradicts itself.
    #[error("tensor {name:?}: {reason}")]
    Tensor {
        /// The tensor.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// The described data and the data in the file differ in length.
    #[error("the header describes {described} bytes of data, the file has {available}; {}", if described > available {
        "it is truncated, download it again"
    } else {
        "there is data that no tensor owns"
    })]
    DataLength {
        /// End of the last tensor.
        described: u64,
        /// Bytes after the header.
        available: u64,
    },
}

/// Parses and checks the header of `file`, a whole safetensors file.
pub(crate) fn parse(file: &[u8]) -> Result<Vec<Entry>, HeaderError> {
    let (length, rest) = file.split_first_chunk::<8>().ok_or(HeaderError::TooShort(file.len()))?;
    let claimed = u64::from_le_bytes(*length);
    if claimed > MAX_HEADER_BYTES {
        return Err(HeaderError::TooLong(claimed));
    }
    let (header, data) = usize::try_from(claimed)
        .ok()
        .and_then(|length| rest.split_at_checked(length))
        .ok_or(HeaderError::LongerThanFile { claimed, available: rest.len() })?;
    let Listing(raw) = serde_json::from_slice(header).map_err(HeaderError::Syntax)?;
    let data_start = file.len() - data.len();
    place(raw, data_start, data.len())
}

/// Checks each tensor's size against its range, and that the ranges fill the data without overlap or gap.
fn place(mut raw: Vec<Raw>, data_start: usize, data_len: usize) -> Result<Vec<Entry>, HeaderError> {
    raw.sort_by_key(|tensor| tensor.info.data_offsets);
    let (described, available) = (raw.last().map_or(0, |last| last.info.data_offsets[1]), data_len as u64);
    if described != available {
        return Err(HeaderError::DataLength { described, available });
    }
    let mut entries = Vec::with_capacity(raw.len());
    let mut expected_start = 0;
    for tensor in raw {
        let [start, end] = tensor.info.data_offsets;
        let wrong = |reason: String| Err(HeaderError::Tensor { name: tensor.name.clone(), reason });
        if start < expected_start {
            return wrong(format!("its data begins at {start}, inside another tensor that ends at {expected_start}"));
        }
        if start > expected_start {
            return wrong(format!("its data begins at {start}, leaving a gap after {expected_start}"));
        }
        let (dtype, bits) = tensor.info.dtype.0;
        match byte_len(bits, &tensor.info.shape.0) {
            Some(bytes) if end.checked_sub(start) == Some(bytes) => {}
            Some(bytes) => {
                return wrong(format!(
                    "{dtype} of shape {:?} takes {bytes} bytes, but data_offsets is [{start}, {end}]",
                    tensor.info.shape.0
                ));
            }
            None => {
                return wrong(format!("{dtype} of shape {:?} has an impossible size", tensor.info.shape.0));
            }
        }
        expected_start = end;
        entries.push(Entry {
            name: tensor.name,
            dtype,
            shape: tensor.info.shape.0,
            // Both fit: they are within the file, whose length is a `usize`.
            start: data_start + start as usize,
            len: (end - start) as usize,
        });
    }
    Ok(entries)
}

fn byte_len(bits: u64, shape: &[usize]) -> Option<u64> {
    let elements = shape.iter().try_fold(1_u64, |product, side| product.checked_mul(*side as u64))?;
    let bits = elements.checked_mul(bits)?;
    bits.is_multiple_of(8).then_some(bits / 8)
}

struct Raw {
    name: String,
    info: Info,
}

#[derive(Deserialize)]
struct Info {
    dtype: DtypeName,
    shape: Shape,
    data_offsets: [u64; 2],
}

#[derive(Deserialize)]
#[serde(try_from = "String")]
struct DtypeName((&'static str, u64));

impl TryFrom<String> for DtypeName {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        DTYPES
            .into_iter()
            .find(|(known, _)| *known == name)
            .map(Self)
            .ok_or_else(|| format!("unknown dtype {:?}", shortened(&name)))
    }
}

/// A shape of bounded rank.
struct Shape(Vec<usize>);

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Sides;
        impl<'de> Visitor<'de> for Sides {
            type Value = Shape;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, "a shape of at most {MAX_RANK} whole numbers")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Shape, A::Error> {
                let mut shape = Vec::new();
                while let Some(side) = items.next_element()? {
                    if shape.len() == MAX_RANK {
                        return Err(A::Error::invalid_length(MAX_RANK + 1, &self));
                    }
                    shape.push(side);
                }
                Ok(Shape(shape))
            }
        }
        deserializer.deserialize_seq(Sides)
    }
}

/// Every tensor of a header, in the order of the text.
struct Listing(Vec<Raw>);

impl<'de> Deserialize<'de> for Listing {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Tensors;
        impl<'de> Visitor<'de> for Tensors {
            type Value = Listing;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object of tensors")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Listing, A::Error> {
                let (mut tensors, mut seen) = (Vec::new(), HashSet::new());
                while let Some(name) = map.next_key::<String>()? {
                    check_name(&name, &mut seen, tensors.len())?;
                    if name == "__metadata__" {
                        map.next_value::<IgnoredAny>()?;
                    } else {
                        let info = map.next_value()?;
                        tensors.push(Raw { name, info });
                    }
                }
                Ok(Listing(tensors))
            }
        }
        deserializer.deserialize_map(Tensors)
    }
}

fn check_name<E: de::Error>(name: &str, seen: &mut HashSet<String>, count: usize) -> Result<(), E> {
    if name.len() > MAX_NAME_BYTES {
        return Err(E::custom(format_args!("the name {:?} is longer than {MAX_NAME_BYTES} bytes", shortened(name))));
    }
    if count == MAX_TENSORS {
        return Err(E::custom(format_args!("more than {MAX_TENSORS} tensors")));
    }
    if !seen.insert(name.to_owned()) {
        return Err(E::custom(format_args!("{name:?} is there twice")));
    }
    Ok(())
}

fn shortened(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests;
