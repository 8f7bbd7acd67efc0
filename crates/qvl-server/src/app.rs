//! What all requests share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use qvl::GrammarCompiler;
use qvl::service::Service;
use sha2::{Digest as _, Sha256};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::body::Bodies;
use crate::error::ApiError;
use crate::host::Hosts;
use crate::media::{KeptPictures, PreparedRoom};
use crate::metrics::Metrics;
use crate::options::ServerOptions;
use crate::remote::RemoteMedia;

/// Most requests whose prompts are prepared at once, of each kind; preparing uses one core.
const MOST_AT_ONCE: usize = 4;

/// More questions than can be answered at the same time: each has a connection.
const MOST_QUESTIONS: u32 = 1 << 24;

/// The server's state.
pub(crate) struct App {
    pub(crate) service: Service,
    pub(crate) options: ServerOptions,
    /// Hashes of the keys, so that comparing takes the same time whatever they are.
    pub(crate) key_hashes: Vec<[u8; 32]>,
    /// The names that requests may give for the server.
    pub(crate) hosts: Hosts,
    /// None where pictures are not fetched.
    pub(crate) remote: Option<RemoteMedia>,
    /// None where the model's tokens cannot be held to a form.
    pub(crate) grammars: Option<GrammarCompiler>,
    pub(crate) bodies: Bodies,
    pub(crate) room: PreparedRoom,
    pub(crate) kept_pictures: KeptPictures,
    /// Turns for preparing prompts with pictures; kept while waiting for room, so that few decoded pictures wait.
    pub(crate) picture_turns: Arc<Semaphore>,
    /// Turns for preparing prompts of text, which need not wait for pictures.
    pub(crate) text_turns: Arc<Semaphore>,
    pub(crate) metrics: Metrics,
    /// When the server started, in seconds since 1970: what it says the model was created.
    pub(crate) started: u64,
    draining: AtomicBool,
    /// A permit is held by each question that is being answered.
    questions: Arc<Semaphore>,
}

impl App {
    pub(crate) fn new(
        service: Service,
        options: ServerOptions,
        hosts: Hosts,
        remote: Option<RemoteMedia>,
        grammars: Option<GrammarCompiler>,
    ) -> Self {
        let at_once = thread::available_parallelism().map_or(1, usize::from).min(MOST_AT_ONCE);
        Self {
            key_hashes: options.api_keys.iter().map(|key| Sha256::digest(key.as_bytes()).into()).collect(),
            bodies: Bodies::new(&options.limits),
            room: PreparedRoom::new(&options.limits),
            kept_pictures: KeptPictures::new(options.limits.kept_picture_bytes),
            picture_turns: Arc::new(Semaphore::new(at_once)),
            text_turns: Arc::new(Semaphore::new(at_once)),
            metrics: Metrics::default(),
            started: unix_seconds(),
            draining: AtomicBool::new(false),
            questions: Arc::new(Semaphore::new(MOST_QUESTIONS as usize)),
            service,
            options,
            hosts,
            remote,
            grammars,
        }
    }

    /// Takes no more questions, and waits until the last one is answered.
    pub(crate) async fn drain(&self) {
        self.draining.store(true, Ordering::SeqCst);
        // An error would mean a closed semaphore, and nobody closes it.
        let _ = self.questions.acquire_many(MOST_QUESTIONS).await;
    }

    /// Lets a question in, which is being answered for as long as it holds what it gets.
    ///
    /// # Errors
    /// As for [`check_ready`](Self::check_ready).
    pub(crate) fn admit(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        self.check_ready()?;
        Arc::clone(&self.questions).try_acquire_owned().map_err(|_| ApiError::stopping())
    }

    /// Whether a question that comes now would be taken.
    ///
    /// # Errors
    /// If the server was asked to stop, the model's thread has ended, or the queue has no place.
    pub(crate) fn check_ready(&self) -> Result<(), ApiError> {
        if self.draining.load(Ordering::SeqCst) || self.service.has_ended() {
            return Err(ApiError::stopping());
        }
        let has_place = self.service.statistics().waiting < self.options.service.max_queue.max(1);
        if has_place { Ok(()) } else { Err(ApiError::queue_full()) }
    }
}

/// Now, in seconds since 1970.
pub(crate) fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// A new identifier.
pub(crate) fn new_id(prefix: &str) -> String {
    format!("{prefix}{:032x}", rand::random::<u128>())
}
