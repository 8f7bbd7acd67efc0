//! `data:` URLs (RFC 2397) that hold pictures.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// Takes base64 with and without the padding at its end, as clients send both.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Whether `url` is a `data:` URL.
pub(super) fn is_data_url(url: &str) -> bool {
    url.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("data:"))
}

/// The bytes that a `data:` URL holds. Its media type must be a picture's or say nothing; what the bytes are, the bytes say.
///
/// # Errors
/// A sentence about what is wrong.
pub(super) fn decode(url: &str) -> Result<Vec<u8>, &'static str> {
    let rest = url.get(5..).unwrap_or_default();
    let (head, data) = rest.split_once(',').ok_or("a data: URL has a comma before its data")?;
    let mut head = head.split(';');
    let media_type = head.next().unwrap_or_default().trim().to_ascii_lowercase();
    if !is_picture_type(&media_type) {
        return Err(
            "the media type of the data: URL is not a picture's; give image/png, image/jpeg, image/webp or image/gif",
        );
    }
    if !head.any(|parameter| parameter.trim().eq_ignore_ascii_case("base64")) {
        return Err("a data: URL with a picture must be base64: data:image/png;base64,…");
    }
    let without_spaces = || data.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect::<Vec<u8>>();
    let decoded = BASE64.decode(data).or_else(|_| BASE64.decode(without_spaces()));
    decoded.map_err(|_| "the data of the data: URL is not base64")
}

fn is_picture_type(media_type: &str) -> bool {
    let is_svg = media_type == "image/svg+xml";
    media_type.is_empty() || media_type == "application/octet-stream" || (media_type.starts_with("image/") && !is_svg)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_that_clients_send_are_read() {
        for url in [
            "data:image/png;base64,AQID",
            "DATA:image/png;name=a.png;Base64,AQID",
            "data:;base64,AQID",
            "data:application/octet-stream;base64,AQ\nID",
        ] {
            assert!(is_data_url(url));
            assert_eq!(decode(url).unwrap(), [1, 2, 3], "{url}");
        }
        assert_eq!(decode("data:image/gif;base64,AQ").unwrap(), [1]);
        assert_eq!(decode("data:image/gif;base64,AQ==").unwrap(), [1]);
    }

    #[test]
    fn whatever_is_wrong_is_said() {
        for (url, said) in [
            ("data:image/png;base64", "comma"),
            ("data:image/png,abc", "must be base64"),
            ("data:text/html;base64,AQID", "media type"),
            ("data:image/svg+xml;base64,AQID", "media type"),
            ("data:image/png;base64,A*ID", "not base64"),
            ("data:image/png;base64,A", "not base64"),
            ("data:", "comma"),
        ] {
            let error = decode(url).unwrap_err();
            assert!(error.contains(said), "{url}: {error}");
        }
        assert!(!is_data_url("dat"));
        assert!(!is_data_url("https://a"));
    }
}
