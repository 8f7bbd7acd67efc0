//! What all requests share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use qvl::GrammarCompiler;
use qvl::service::Service;
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;

use crate::body::Bodies;
use crate::media::PreparedRoom;
use crate::metrics::Metrics;
use crate::options::ServerOptions;
use crate::remote::RemoteMedia;

/// Most requests whose prompts are prepared at once, of each kind; preparing uses one core.
const MOST_AT_ONCE: usize = 4;

/// The server's state.
pub(crate) struct App {
    pub(crate) service: Service,
    pub(crate) options: ServerOptions,
    /// Hashes of the keys, so that comparing takes the same time whatever they are.
    pub(crate) key_hashes: Vec<[u8; 32]>,
    /// None where pictures are not fetched.
    pub(crate) remote: Option<RemoteMedia>,
    /// None where the model's tokens cannot be held to a form.
    pub(crate) grammars: Option<GrammarCompiler>,
    pub(crate) bodies: Bodies,
    pub(crate) room: PreparedRoom,
    /// Turns for preparing prompts with pictures; kept while waiting for room, so that few decoded pictures wait.
    pub(crate) picture_turns: Arc<Semaphore>,
    /// Turns for preparing prompts of text, which need not wait for pictures.
    pub(crate) text_turns: Arc<Semaphore>,
    pub(crate) metrics: Metrics,
    /// When the server started, in seconds since 1970: what it says the model was created.
    pub(crate) started: u64,
    draining: AtomicBool,
}

impl App {
    pub(crate) fn new(
        service: Service,
        options: ServerOptions,
        remote: Option<RemoteMedia>,
        grammars: Option<GrammarCompiler>,
    ) -> Self {
        let at_once = thread::available_parallelism().map_or(1, usize::from).min(MOST_AT_ONCE);
        Self {
            key_hashes: options.api_keys.iter().map(|key| Sha256::digest(key.as_bytes()).into()).collect(),
            bodies: Bodies::new(&options.limits),
            room: PreparedRoom::new(&options.limits),
            picture_turns: Arc::new(Semaphore::new(at_once)),
            text_turns: Arc::new(Semaphore::new(at_once)),
            metrics: Metrics::default(),
            started: unix_seconds(),
            draining: AtomicBool::new(false),
            service,
            options,
            remote,
            grammars,
        }
    }

    /// From now on the server is not ready: it finishes what it has.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::SeqCst);
    }

    /// Whether a request that comes now would be answered.
    pub(crate) fn is_ready(&self) -> bool {
        !self.draining.load(Ordering::SeqCst) && self.has_place()
    }

    /// Whether the queue has a place.
    pub(crate) fn has_place(&self) -> bool {
        self.service.statistics().waiting < self.options.service.max_queue.max(1)
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
