//! What a message of `/v1/chat/completions` holds: text, pictures, videos.

use qvl::{Part, Role};
use serde_json::Value;

use crate::error::ApiError;
use crate::fields::Fields;
use crate::media::Sources;

/// Reads `content`: a text, or a list of parts.
///
/// # Errors
/// Names the first field that is wrong.
pub(crate) fn read_content(
    content: Value,
    path: &str,
    role: Role,
    sources: &mut Sources<'_>,
) -> Result<Vec<Part>, ApiError> {
    read_parts(content, path, |part, path| read_part(part, path, role, sources))
}

/// Reads a text, or a list of parts, each with `read` and its path.
///
/// # Errors
/// If it is neither, or `read` refuses a part.
pub(crate) fn read_parts(
    content: Value,
    path: &str,
    mut read: impl FnMut(Value, &str) -> Result<Part, ApiError>,
) -> Result<Vec<Part>, ApiError> {
    match content {
        Value::String(text) => Ok(vec![Part::Text(text)]),
        Value::Array(parts) => {
            let parts = parts.into_iter().enumerate();
            parts.map(|(index, part)| read(part, &format!("{path}[{index}]"))).collect()
        }
        _ => Err(ApiError::field(path, "must be a string or a list of parts")),
    }
}

fn read_part(part: Value, path: &str, role: Role, sources: &mut Sources<'_>) -> Result<Part, ApiError> {
    let mut fields = Fields::at(path, part)?;
    let kind = fields.text("type")?;
    let kind = fields.required("type", kind)?;
    let shows = matches!(kind.as_str(), "image_url" | "image" | "video_url" | "video");
    if shows && !matches!(role, Role::User | Role::Tool) {
        return Err(fields.error("type", "pictures and videos belong into messages of the user or of a tool"));
    }
    let part = match kind.as_str() {
        "text" | "refusal" => {
            let text = fields.text(&kind)?;
            Part::Text(fields.required(&kind, text)?)
        }
        "image_url" | "image" => {
            let url = read_url(&mut fields, &kind)?;
            sources.image(fields.path(&kind), url)?
        }
        "video_url" | "video" => read_video(&mut fields, &kind, sources)?,
        _ => return Err(fields.error("type", "must be text, image_url or video_url")),
    };
    // Hints for caches, which need none here.
    fields.ignore(&["cache_control"]);
    fields.finish()?;
    Ok(part)
}

/// A URL, or an object with one.
fn read_url(fields: &mut Fields, name: &str) -> Result<String, ApiError> {
    let value = fields.value(name);
    let path = fields.path(name);
    match fields.required(name, value)? {
        Value::String(url) => Ok(url),
        object => {
            let mut inner = Fields::at(&path, object)?;
            let url = inner.text("url")?;
            let url = inner.required("url", url)?;
            check_detail(&mut inner)?;
            inner.finish()?;
            Ok(url)
        }
    }
}

/// Pictures are shown at the size that the budget allows.
///
/// # Errors
/// For `low`, which asks for less.
pub(crate) fn check_detail(fields: &mut Fields) -> Result<(), ApiError> {
    match fields.text("detail")?.as_deref() {
        None | Some("auto" | "high") => Ok(()),
        Some(_) => Err(fields.error("detail", "must be auto or high; mm_processor_kwargs.max_pixels sets the size")),
    }
}

/// An animation by its URL, or a list of frames.
fn read_video(fields: &mut Fields, name: &str, sources: &mut Sources<'_>) -> Result<Part, ApiError> {
    let path = fields.path(name);
    match fields.value(name) {
        Some(Value::Array(frames)) => {
            let urls = frames.into_iter().enumerate().map(|(index, frame)| match frame {
                Value::String(url) => Ok(url),
                _ => Err(ApiError::field(format!("{path}[{index}]"), "must be the URL of a frame")),
            });
            sources.frames(path.clone(), urls.collect::<Result<_, _>>()?)
        }
        Some(Value::String(url)) => sources.video(path, url),
        Some(object) => {
            let mut inner = Fields::at(&path, object)?;
            let url = inner.text("url")?;
            let url = inner.required("url", url)?;
            inner.finish()?;
            sources.video(path, url)
        }
        None => Err(fields.error(name, "is missing")),
    }
}
