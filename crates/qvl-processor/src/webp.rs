//! What a WebP file says of its chunks, checked before a decoder takes memory for one.

use crate::ImageError;
use crate::format::Format;

/// Bytes of `RIFF`, the file's size, `WEBP`.
const FILE_HEADER: usize = 12;

/// Bytes of a chunk's name and size.
const CHUNK_HEADER: usize = 8;

/// Checks that every chunk ends within the file: a decoder makes room for a chunk before it reads it.
///
/// # Errors
/// [`ImageError::Damaged`] if a chunk is said to be longer than what is left.
pub(crate) fn check_chunks(bytes: &[u8]) -> Result<(), ImageError> {
    let mut rest = bytes.get(FILE_HEADER..).unwrap_or_default();
    while let Some((header, body)) = rest.split_at_checked(CHUNK_HEADER) {
        let size = u32::from_le_bytes([header[4], header[5], header[6], header[7]]) as usize;
        if size > body.len() {
            let source = "a chunk is said to be longer than the file".into();
            return Err(ImageError::Damaged { format: Format::WebP.name(), source });
        }
        // Chunks of an odd size are followed by a byte of padding.
        rest = body.get(size.next_multiple_of(2)..).unwrap_or_default();
    }
    Ok(())
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
    fn a_chunk_that_is_longer_than_the_file_is_refused() {
        let error = check_chunks(&file(&[(b"VP8X", 2, b"ab"), (b"EXIF", u32::MAX, b"ab")])).unwrap_err();
        assert!(error.to_string().contains("WebP"), "{error}");
    }
}
