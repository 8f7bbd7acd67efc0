//! Pictures from the network, fetched at the word of a stranger.
//!
//! Whoever may send requests names the URL, so this must not become a way into the network that the server is in. A host's name is
//! looked up once, every address that it gives must be public, and the connection goes to one of them: there is no second
//! look-up in which the name could mean something else. A redirect is checked like a first URL. Proxies of the environment are not
//! used, nothing is decompressed, no credentials or cookies are sent, and time and size have limits.
//!
//! What this cannot know: public addresses that are dear to the server for other reasons, such as its own. A firewall can.

mod connection;
mod error;
mod exchange;
mod network;
mod target;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use rustls::RootCertStore;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub use error::RemoteError;
pub use network::{Network, NetworkError, is_public};

use connection::{Connector, Resolver, SystemResolver};
use exchange::{Reply, exchange};
use target::Target;

/// What fetching a picture may cost, and where it may go.
#[derive(Debug, Clone)]
pub struct RemoteLimits {
    /// Bytes of one picture.
    pub max_bytes: usize,
    /// Redirects that are followed.
    pub max_redirects: usize,
    /// Time for one picture, from the call to the last byte, redirects and waiting for a turn included.
    pub time: Duration,
    /// Pictures that are fetched at once, and requests whose pictures are fetched and not decoded yet; more wait for their turn.
    /// Memory is bounded by this many times what a request's pictures may have together, and `max_bytes` more while a buffer grows.
    pub at_once: usize,
    /// Ranges that pictures may come from although they are not public, such as a company's own servers.
    pub permitted: Vec<Network>,
}

impl Default for RemoteLimits {
    /// 20 MiB, 3 redirects, 15 seconds, 8 at once, nothing but the public internet.
    fn default() -> Self {
        Self { max_bytes: 20 << 20, max_redirects: 3, time: Duration::from_secs(15), at_once: 8, permitted: Vec::new() }
    }
}

/// Fetches pictures over http and https.
pub struct RemoteMedia {
    limits: RemoteLimits,
    connector: Connector,
    turns: Semaphore,
    requests: Arc<Semaphore>,
}

impl RemoteMedia {
    /// With the machine's resolver, and the authorities that the machine trusts.
    ///
    /// A machine that trusts none, as bare containers do, fetches over http only: https then fails as an untrusted certificate does.
    ///
    /// # Errors
    /// If TLS cannot be set up.
    pub fn new(limits: RemoteLimits) -> Result<Self, RemoteError> {
        let mut roots = RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs();
        for error in &found.errors {
            tracing::warn!("certificates of authorities: {error}");
        }
        roots.add_parsable_certificates(found.certs);
        Self::with(limits, Box::new(SystemResolver), roots)
    }

    fn with(limits: RemoteLimits, resolver: Box<dyn Resolver>, roots: RootCertStore) -> Result<Self, RemoteError> {
        let connector = Connector::new(resolver, roots, limits.permitted.clone())?;
        let (turns, requests) = (Semaphore::new(limits.at_once), Arc::new(Semaphore::new(limits.at_once)));
        Ok(Self { limits, connector, turns, requests })
    }

    /// Waits until pictures of one more request may be fetched, which are in memory for as long as the permit is held.
    pub(crate) async fn request(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.requests).acquire_owned().await.ok()
    }

    /// The bytes that `url` gives. They are whatever the host sent: the decoder says whether they are a picture.
    ///
    /// # Errors
    /// See [`RemoteError`]; its text can be shown to whoever named the URL.
    pub async fn fetch(&self, url: &str) -> Result<Vec<u8>, RemoteError> {
        self.fetch_within(url, usize::MAX).await
    }

    /// As [`fetch`](Self::fetch), and no more than `bytes_left`.
    pub(crate) async fn fetch_within(&self, url: &str, bytes_left: usize) -> Result<Vec<u8>, RemoteError> {
        let target = Target::parse(url)?;
        let max_bytes = self.limits.max_bytes.min(bytes_left);
        let fetched = tokio::time::timeout(self.limits.time, async {
            // An error would mean a closed semaphore, and nobody closes it.
            let _turn = self.turns.acquire().await;
            self.follow(target, max_bytes).await
        });
        let result = fetched.await.unwrap_or(Err(RemoteError::TooSlow(self.limits.time.as_secs_f32())));
        if let Err(error) = &result {
            tracing::debug!(source = ?std::error::Error::source(error), "picture not fetched: {error}");
        }
        result
    }

    async fn follow(&self, mut target: Target, max_bytes: usize) -> Result<Vec<u8>, RemoteError> {
        for _ in 0..=self.limits.max_redirects {
            let stream = self.connector.connect(&target).await?;
            match exchange(stream, &target, max_bytes).await? {
                Reply::Bytes(bytes) => return Ok(bytes),
                Reply::Redirect(next) => target = next,
            }
        }
        Err(RemoteError::Redirects(self.limits.max_redirects))
    }
}
