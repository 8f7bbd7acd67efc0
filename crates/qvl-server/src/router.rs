//! Paths, and what surrounds all of them.

use std::any::Any;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{HeaderName, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, HeaderValue, Method};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

use crate::app::App;
use crate::chat::chat;
use crate::completions::completions;
use crate::error::ApiError;
use crate::health::{health, metrics, ready};
use crate::host::require_host;
use crate::key::require_key;
use crate::model::{model, models};
use crate::page::page;
use crate::responses::responses;
use crate::tokenize::{detokenize, tokenize};

/// Bytes of all names and values of a request's headers.
const MAX_HEADER_BYTES: usize = 32 << 10;

/// An option that the paths cannot be made with.
#[derive(Debug, thiserror::Error)]
pub enum RouterError {
    /// The origin cannot stand in a header.
    #[error("{0:?} is no origin; give it as https://example.org, or * for all")]
    Origin(String),
}

/// The paths that have a name of their own in the metrics.
const PATHS: [&str; 9] = [
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/responses",
    "/v1/models",
    "/tokenize",
    "/detokenize",
    "/health",
    "/ready",
    "/metrics",
];

/// All paths.
///
/// # Errors
/// If an origin of the options is none.
pub(crate) fn router(app: &Arc<App>) -> Result<Router, RouterError> {
    let guarded = Router::new()
        .route("/v1/chat/completions", post(chat))
        .route("/v1/completions", post(completions))
        .route("/v1/responses", post(responses))
        .route("/v1/models", get(models))
        .route("/v1/models/{*name}", get(model))
        .route("/tokenize", post(tokenize))
        .route("/detokenize", post(detokenize))
        .route("/metrics", get(metrics))
        .route_layer(from_fn_with_state(Arc::clone(app), require_key));
    let named = guarded.fallback(page).layer(from_fn_with_state(Arc::clone(app), require_host));
    let router = Router::new()
        .route("/health", get(health))
        .route("/ready", get(ready))
        .merge(named)
        .method_not_allowed_fallback(|| async { ApiError::method_not_allowed() })
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(Arc::clone(app), around))
        .with_state(Arc::clone(app));
    let origins = &app.options.cors_origins;
    Ok(if origins.is_empty() { router } else { router.layer(cors(origins)?) })
}

/// Lets the pages of these origins read the answers.
fn cors(origins: &[String]) -> Result<CorsLayer, RouterError> {
    let allowed = if origins.iter().any(|origin| origin == "*") {
        AllowOrigin::any()
    } else {
        let origins = origins.iter().map(|origin| {
            let is_origin = origin.contains("://") && !origin.ends_with('/');
            HeaderValue::from_str(origin).ok().filter(|_| is_origin).ok_or_else(|| RouterError::Origin(origin.clone()))
        });
        AllowOrigin::list(origins.collect::<Result<Vec<_>, _>>()?)
    };
    // The npm client of OpenAI sends headers of its own, and more with each version.
    let layer = CorsLayer::new().allow_methods([Method::GET, Method::POST]).allow_origin(allowed);
    Ok(layer.allow_headers(AllowHeaders::mirror_request()))
}

/// Before every request: large heads are refused. After it: it is counted, and browsers are told not to guess.
async fn around(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let endpoint = PATHS.into_iter().find(|known| *known == path).unwrap_or("other");
    let mut response = if header_bytes(request.headers()) > MAX_HEADER_BYTES {
        ApiError::headers_too_large(MAX_HEADER_BYTES).into_response()
    } else {
        next.run(request).await
    };
    app.metrics.request(endpoint, response.status().as_u16());
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

fn header_bytes(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value): (&HeaderName, &HeaderValue)| name.as_str().len() + value.len()).sum()
}

/// A defect of ours: the client gets no details.
fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    tracing::error!("a request made the server panic: {}", text.unwrap_or("without a message"));
    ApiError::internal().into_response()
}
