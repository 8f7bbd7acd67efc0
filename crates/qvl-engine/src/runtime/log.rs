//! ONNX Runtime's messages, handed on to `tracing`.

use std::sync::Arc;

use ort::logging::{LogLevel, LoggerFunction};

/// The `tracing` target of ONNX Runtime's own messages. A package that loads well gives none of level warning or worse.
pub const LOG_TARGET: &str = "onnxruntime";

/// The function that ONNX Runtime calls with each message.
pub(super) fn forward() -> LoggerFunction {
    Arc::new(|level, _category, session, place, message| match level {
        LogLevel::Verbose => tracing::trace!(target: LOG_TARGET, session, place, "{message}"),
        LogLevel::Info => tracing::debug!(target: LOG_TARGET, session, place, "{message}"),
        LogLevel::Warning => tracing::warn!(target: LOG_TARGET, session, place, "{message}"),
        LogLevel::Error | LogLevel::Fatal => {
            tracing::error!(target: LOG_TARGET, session, place, "{message}")
        }
    })
}

/// The least severe level that anybody listens to; below it ONNX Runtime need not even put a message together.
pub(super) fn level() -> LogLevel {
    if tracing::enabled!(target: LOG_TARGET, tracing::Level::TRACE) {
        LogLevel::Verbose
    } else if tracing::enabled!(target: LOG_TARGET, tracing::Level::DEBUG) {
        LogLevel::Info
    } else {
        LogLevel::Warning
    }
}
