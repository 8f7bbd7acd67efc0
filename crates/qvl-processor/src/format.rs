//! Which picture format some bytes are in, told by the bytes themselves and never by a name.

use crate::ImageError;

/// The formats that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Jpeg,
    Png,
    WebP,
    Gif,
    Bmp,
    Tiff,
}

impl Format {
    /// The format's name in messages.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Jpeg => "JPEG",
            Self::Png => "PNG",
            Self::WebP => "WebP",
            Self::Gif => "GIF",
            Self::Bmp => "BMP",
            Self::Tiff => "TIFF",
        }
    }

    /// Tells the format, or names the one that is not read.
    pub(crate) fn sniff(bytes: &[u8]) -> Result<Self, ImageError> {
        let begins = |magic: &[u8]| bytes.starts_with(magic);
        if bytes.is_empty() {
            Err(ImageError::Empty)
        } else if begins(b"\xff\xd8\xff") {
            Ok(Self::Jpeg)
        } else if begins(b"\x89PNG\r\n\x1a\n") {
            Ok(Self::Png)
        } else if begins(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
            Ok(Self::WebP)
        } else if begins(b"GIF87a") || begins(b"GIF89a") {
            Ok(Self::Gif)
        } else if begins(b"BM") {
            Ok(Self::Bmp)
        } else if begins(b"II*\0") || begins(b"MM\0*") {
            Ok(Self::Tiff)
        } else {
            Err(refused(bytes).map_or(ImageError::UnknownFormat, |format| ImageError::UnsupportedFormat { format }))
        }
    }
}

/// The name of a format that is known but not read.
fn refused(bytes: &[u8]) -> Option<&'static str> {
    let begins = |magic: &[u8]| bytes.starts_with(magic);
    if begins(b"\0\0\0\x0cjP  \r\n\x87\n") || begins(b"\xff\x4f\xff\x51") {
        Some("JPEG 2000")
    } else if begins(b"\0\0\0\x0cJXL \r\n\x87\n") || begins(b"\xff\x0a") {
        Some("JPEG XL")
    } else if bytes.get(4..8) == Some(b"ftyp") {
        iso_media(bytes.get(8..12)?)
    } else if begins(b"%PDF-") {
        Some("PDF")
    } else if begins(b"8BPS") {
        Some("Photoshop")
    } else if begins(b"II+\0") || begins(b"MM\0+") {
        Some("BigTIFF")
    } else if is_svg(bytes) {
        Some("SVG")
    } else {
        None
    }
}

/// The pictures among the ISO base media files, by brand.
fn iso_media(brand: &[u8]) -> Option<&'static str> {
    match brand {
        b"avif" | b"avis" => Some("AVIF"),
        b"heic" | b"heix" | b"hevc" | b"hevx" | b"heim" | b"heis" | b"mif1" | b"msf1" => Some("HEIC"),
        _ => None,
    }
}

/// Whether the first kilobyte looks like an SVG document.
fn is_svg(bytes: &[u8]) -> bool {
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(1024)]);
    let head = head.trim_start_matches('\u{feff}').trim_start();
    head.starts_with('<') && head.contains("<svg")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(bytes: &[u8]) -> String {
        Format::sniff(bytes).unwrap_err().to_string()
    }

    #[test]
    fn refused_by_name() {
        let cases: [(&[u8], &str); 8] = [
            (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
            (b"\xef\xbb\xbf<?xml version='1.0'?>\n<svg/>", "SVG"),
            (b"\0\0\0\x0cjP  \r\n\x87\n....", "JPEG 2000"),
            (b"\xff\x4f\xff\x51\0\0", "JPEG 2000"),
            (b"\0\0\0\x1cftypavif\0\0\0\0", "AVIF"),
            (b"\0\0\0\x1cftypheic\0\0\0\0", "HEIC"),
            (b"\xff\x0a\0\0", "JPEG XL"),
            (b"%PDF-1.7", "PDF"),
        ];
        for (bytes, name) in cases {
            let expected = format!("{name} pictures are not read; convert it to PNG or JPEG first");
            assert_eq!(refusal(bytes), expected);
        }
    }

    #[test]
    fn not_a_picture() {
        assert_eq!(refusal(b""), "the picture is empty (0 bytes)");
        let unknown = "not a picture: the data begins like none of JPEG, PNG, WebP, GIF, BMP, TIFF";
        for bytes in [&b"hello, world"[..], b"<html></html>", b"\0", b"RIFF\0\0\0\0WAVE"] {
            assert_eq!(refusal(bytes), unknown);
        }
    }
}
