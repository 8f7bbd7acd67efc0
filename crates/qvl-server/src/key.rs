//! The key that requests bring.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::middleware::Next;
use axum::response::Response;
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq as _};

use crate::app::App;
use crate::error::ApiError;

/// Lets a request through if it brings one of the keys, or if there are none.
pub(crate) async fn require_key(
    State(app): State<Arc<App>>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    if app.key_hashes.is_empty() || bearer(request.headers()).is_some_and(|key| is_known(&app.key_hashes, key)) {
        return Ok(next.run(request).await);
    }
    Err(ApiError::unauthorized())
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, key) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(key.trim())
}

/// Compares hashes, all of them, bit by bit: how long it takes tells nothing about the keys.
fn is_known(hashes: &[[u8; 32]], key: &str) -> bool {
    let hash: [u8; 32] = Sha256::digest(key.as_bytes()).into();
    let found = hashes.iter().fold(Choice::from(0), |found, known| found | known.ct_eq(&hash));
    found.into()
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn only_the_keys_are_known() {
        let hashes = ["one", "two"].map(|key| Sha256::digest(key.as_bytes()).into());
        assert!(is_known(&hashes, "one") && is_known(&hashes, "two"));
        for wrong in ["", "on", "one ", "ONE", "three"] {
            assert!(!is_known(&hashes, wrong));
        }
    }

    #[test]
    fn the_scheme_may_be_spelt_in_any_case() {
        let headers = |value: &'static str| HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static(value))]);
        assert_eq!(bearer(&headers("Bearer k")), Some("k"));
        assert_eq!(bearer(&headers("bearer  k")), Some("k"));
        assert_eq!(bearer(&headers("Basic k")), None);
        assert_eq!(bearer(&headers("k")), None);
        assert_eq!(bearer(&HeaderMap::new()), None);
    }
}
