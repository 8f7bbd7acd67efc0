//! Loading the library, once in a process.

use std::fs;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use ort::environment::Environment;

use super::{Library, Rejected, RuntimeError, Source, log, search};

/// The loaded library and its environment.
#[derive(Debug, Clone)]
pub(crate) struct Runtime {
    /// What sessions are made in.
    pub(crate) environment: Environment,
    /// Where the library came from.
    pub(crate) library: Library,
}

static LOADED: Mutex<Option<Runtime>> = Mutex::new(None);

/// Loads the library, or returns the one that is loaded.
///
/// # Errors
/// If none is found or fits, or `explicit` names another than the one that is loaded.
pub(crate) fn load(explicit: Option<&Path>) -> Result<Runtime, RuntimeError> {
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(runtime) = loaded.as_ref() {
        return same_library(runtime, explicit).map(|()| runtime.clone());
    }
    let runtime = load_first(search::candidates(explicit)?)?;
    tracing::debug!(library = %runtime.library.path.display(), found = %runtime.library.source, "loaded ONNX Runtime");
    *loaded = Some(runtime.clone());
    Ok(runtime)
}

fn same_library(runtime: &Runtime, explicit: Option<&Path>) -> Result<(), RuntimeError> {
    let real = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let loaded = &runtime.library.path;
    match explicit {
        Some(_) => {
            let asked = search::locate(explicit)?.path;
            if real(&asked) == real(loaded) {
                Ok(())
            } else {
                Err(RuntimeError::AlreadyLoaded { loaded: loaded.clone(), asked })
            }
        }
        None => Ok(()),
    }
}

/// Loads the first of `candidates` that can be loaded. One that the user named is never passed over.
fn load_first(candidates: impl Iterator<Item = Library>) -> Result<Runtime, RuntimeError> {
    let mut rejected = Vec::new();
    for library in candidates {
        match ort::init_from(&library.path) {
            Ok(builder) => {
                let environment = builder
                    .with_name("qvl")
                    .with_telemetry(false)
                    .with_logger(log::forward())
                    .build()
                    .map_err(|reason| RuntimeError::Start { path: library.path.clone(), reason })?;
                environment.set_log_level(log::level());
                return Ok(Runtime { environment, library });
            }
            Err(error) => {
                let rejection = Rejected { reason: reason(&error), library };
                if matches!(rejection.library.source, Source::Option | Source::Environment) {
                    return Err(RuntimeError::Refused(rejection));
                }
                tracing::debug!("passed over {rejection}");
                rejected.push(rejection);
            }
        }
    }
    Err(RuntimeError::NotFound { rejected })
}

fn reason(error: &ort::LoadDynamicError) -> String {
    use ort::LoadDynamicError as E;
    match error {
        E::Dlopen { error, .. } => error.to_string(),
        E::MissingApi { .. } => "it is no ONNX Runtime library".to_owned(),
        E::InvalidVersionString => "it does not tell its version".to_owned(),
        E::BadVersion { version_str, .. } => {
            format!("its version is {version_str}, and 1.{} or newer is needed", ort::MINOR_VERSION)
        }
    }
}
