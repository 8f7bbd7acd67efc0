//! `/v1/models`, and the name of the model in requests.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use crate::app::App;
use crate::body::json_response;
use crate::error::ApiError;
use crate::fields::Fields;

/// Takes the field `model`: the served one, or none.
///
/// # Errors
/// If it is another.
pub(crate) fn check_model(fields: &mut Fields, app: &App) -> Result<(), ApiError> {
    match fields.text("model")? {
        Some(name) if name != app.options.model_name => Err(unknown(&name, app)),
        _ => Ok(()),
    }
}

fn unknown(name: &str, app: &App) -> ApiError {
    let name: String = name.chars().take(100).collect();
    ApiError::not_found(format!("the model {name:?} is not here; this server has {:?}", app.options.model_name))
        .code("model_not_found")
}

fn model_object(app: &App) -> Value {
    json!({
        "id": app.options.model_name,
        "object": "model",
        "created": app.started,
        "owned_by": "qvl",
        "max_model_len": app.service.config().text.max_position_embeddings,
    })
}

/// The list, which has one entry.
pub(crate) async fn models(State(app): State<Arc<App>>) -> Response {
    json_response(StatusCode::OK, &json!({"object": "list", "data": [model_object(&app)]}))
}

/// One model by its name.
pub(crate) async fn model(State(app): State<Arc<App>>, Path(name): Path<String>) -> Result<Response, ApiError> {
    if name != app.options.model_name {
        return Err(unknown(&name, &app));
    }
    Ok(json_response(StatusCode::OK, &model_object(&app)))
}
