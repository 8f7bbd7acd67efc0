//! What a WebP file says of its chunks, checked before a decoder takes memory for one, and the frames of animated files.
//!
//! The layout is that of the WebP container specification (RFC 9649, section 2).

mod animation;
mod canvas;

pub(crate) use animation::Animation;

use crate::ImageError;
use crate::format::Format;

/// Bytes of `RIFF`, the file's size, `WEBP`.
const FILE_HEADER: usize = 12;

/// Bytes of a chunk's name and size.
const CHUNK_HEADER: usize = 8;

/// The names of the chunks that decoders read.
const NAMES: [&[u8; 4]; 9] = [b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF", b"ICCP", b"EXIF", b"XMP "];

/// A chunk of a file or of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Chunk<'b> {
    name: &'b [u8],
    body: &'b [u8],
}

/// Goes through chunks, up to the first that is said to be longer than what is left: with a name that decoders read that is an
/// error, and otherwise the end, since what lies behind the end of a file looks like such a chunk.
#[derive(Debug, Clone)]
struct Chunks<'b>(&'b [u8]);

impl<'b> Chunks<'b> {
    /// Those of a file.
    fn of(bytes: &'b [u8]) -> Self {
        Self(bytes.get(FILE_HEADER..).unwrap_or_default())
    }
}

impl<'b> Iterator for Chunks<'b> {
    type Item = Result<Chunk<'b>, ImageError>;

    fn next(&mut self) -> Option<Self::Item> {
        let (header, rest) = self.0.split_at_checked(CHUNK_HEADER)?;
        self.0 = &[];
        let name = &header[..4];
        let size = u32::from_le_bytes([header[4], header[5], header[6], header[7]]) as usize;
        let Some(body) = rest.get(..size) else {
            let is_read = NAMES.iter().any(|known| *known == name);
            return is_read.then(|| Err(damaged("a chunk is said to be longer than the file")));
        };
        // Chunks of an odd size are followed by a byte of padding.
        self.0 = rest.get(size.next_multiple_of(2)..).unwrap_or_default();
        Some(Ok(Chunk { name, body }))
    }
}

/// Checks that every chunk ends within the file: a decoder makes room for a chunk before it reads it.
///
/// # Errors
/// [`ImageError::Damaged`] if a chunk is said to be longer than what is left.
pub(crate) fn check_chunks(bytes: &[u8]) -> Result<(), ImageError> {
    let mut chunks = Chunks::of(bytes);
    let first = chunks.next().transpose()?;
    // Of a simple file nothing but the first chunk is read.
    let is_simple = first.is_some_and(|chunk| matches!(chunk.name, b"VP8 " | b"VP8L"));
    if is_simple { Ok(()) } else { chunks.try_for_each(|chunk| chunk.map(drop)) }
}

fn damaged(what: &'static str) -> ImageError {
    ImageError::Damaged { format: Format::WebP.name(), source: what.into() }
}

#[cfg(test)]
mod tests {
    use super::check_chunks;

    fn file(chunks: &[(&[u8; 4], u32, &[u8])]) -> Vec<u8> {
        let mut bytes = b"RIFF\0\0\0\0WEBP".to_vec();
        for (name, size, body) in chunks {
            bytes.extend_from_slice(*name);
            bytes.extend_from_slice(&size.to_le_bytes());
            bytes.extend_from_slice(body);
        }
        bytes
    }

    #[test]
    fn chunks_that_end_within_the_file_pass() {
        assert!(check_chunks(&file(&[(b"VP8X", 3, b"abc\0"), (b"EXIF", 2, b"ab")])).is_ok());
        assert!(check_chunks(&file(&[(b"EXIF", 3, b"abc")])).is_ok(), "the last one's padding may be missing");
        assert!(check_chunks(b"RIFF").is_ok(), "what is no file at all is the decoder's to refuse");
    }

    #[test]
    fn what_lies_behind_the_end_is_nobodys() {
        let behind: (&[u8; 4], u32, &[u8]) = (b"some", u32::from_le_bytes(*b" tex"), b"t");
        assert!(check_chunks(&file(&[(b"VP8 ", 2, b"ab"), behind])).is_ok());
        assert!(check_chunks(&file(&[(b"VP8X", 2, b"ab"), (b"EXIF", 2, b"ab"), behind])).is_ok());
    }

    #[test]
    fn a_chunk_that_is_longer_than_the_file_is_refused() {
        let error = check_chunks(&file(&[(b"VP8X", 2, b"ab"), (b"EXIF", u32::MAX, b"ab")])).unwrap_err();
        assert!(error.to_string().contains("WebP"), "{error}");
        assert!(check_chunks(&file(&[(b"VP8L", 3, b"ab")])).is_err());
        assert!(check_chunks(&file(&[(b"VP8X", 2, b"ab"), (b"VP8 ", 2, b"ab"), (b"EXIF", 9, b"ab")])).is_err());
    }
}
