//! The web page: the files of `web/page`, in the program.

use axum::extract::Request;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_FRAME_OPTIONS};
use axum::http::{HeaderValue, Method};
use axum::response::{IntoResponse, Response};
use include_dir::{Dir, include_dir};

use crate::error::ApiError;

static PAGE: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../web/page");

/// Nothing but the page's own files and what it makes itself: no inline scripts, nothing from elsewhere, no frames.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A file of the page; everything else is not there.
pub(crate) async fn page(request: Request) -> Result<Response, ApiError> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Err(not_there());
    }
    let path = request.uri().path().trim_start_matches('/');
    let path = if path.is_empty() { "index.html" } else { path };
    let file = PAGE.get_file(path).ok_or_else(not_there)?;
    let mut response = file.contents().into_response();
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_TYPE, media_type(path)),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
        // Another version of the program has another page.
        (CACHE_CONTROL, "no-cache"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    Ok(response)
}

fn not_there() -> ApiError {
    ApiError::not_found("there is nothing at this path; the API begins with /v1/, see /v1/models")
}

fn media_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, extension)| extension) {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("json" | "webmanifest") => "application/json",
        Some("png") => "image/png",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use include_dir::DirEntry;

    use super::*;

    fn paths(directory: &Dir<'static>, found: &mut Vec<String>) {
        for entry in directory.entries() {
            match entry {
                DirEntry::Dir(inner) => paths(inner, found),
                DirEntry::File(file) => found.push(file.path().to_string_lossy().into_owned()),
            }
        }
    }

    #[test]
    fn every_file_of_the_page_has_a_type_that_browsers_take() {
        let mut found = Vec::new();
        paths(&PAGE, &mut found);
        assert!(found.contains(&"index.html".to_owned()));
        for path in found {
            assert_ne!(media_type(&path), "application/octet-stream", "{path}");
        }
    }
}
