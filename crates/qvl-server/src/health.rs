//! `/health`, `/ready` and `/metrics`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::app::App;
use crate::body::json_response;
use crate::error::ApiError;

/// The process lives.
pub(crate) async fn health() -> Response {
    json_response(StatusCode::OK, &json!({"status": "ok"}))
}

/// The model is loaded, the queue has a place, and the server was not asked to stop.
///
/// # Errors
/// Says which of these it is.
pub(crate) async fn ready(State(app): State<Arc<App>>) -> Result<Response, ApiError> {
    app.check_ready()?;
    Ok(json_response(StatusCode::OK, &json!({"status": "ready"})))
}

/// What was counted.
pub(crate) async fn metrics(State(app): State<Arc<App>>) -> Response {
    let page = app.metrics.exposition(&app.service.statistics());
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], page).into_response()
}
