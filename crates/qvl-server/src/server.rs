//! A server: a model, a port, and the connections to it.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use qvl::Pipeline;
use qvl::service::Service;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{Instant, sleep, timeout_at};

use crate::app::App;
use crate::grammar::compiler;
use crate::host::{HostNameError, Hosts};
use crate::options::{ServerLimits, ServerOptions};
use crate::patient::PatientStream;
use crate::remote::{RemoteError, RemoteMedia};
use crate::router::{RouterError, router};

/// Bytes of a request's head that are read at all; the router refuses smaller ones with a sentence.
const MAX_HEAD_BYTES: usize = 256 << 10;

/// Headers of a request.
const MAX_HEADERS: usize = 128;

/// How long to wait after the system refused a connection, mostly for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How often it is looked whether the model's thread is still there.
const MODEL_PAUSE: Duration = Duration::from_secs(1);

/// Why a server does not start, or ends unasked.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The model's thread does not start.
    #[error(transparent)]
    Service(#[from] qvl::Error),
    /// The port cannot be had.
    #[error(
        "cannot listen on {host}, port {port}: {source}; give another --port, or --host an address of this machine"
    )]
    Listen {
        /// The interface.
        host: String,
        /// The port.
        port: u16,
        /// The system's reason.
        source: std::io::Error,
    },
    /// An origin is none.
    #[error(transparent)]
    Router(#[from] RouterError),
    /// A name that the server shall answer to is none.
    #[error(transparent)]
    HostName(#[from] HostNameError),
    /// Pictures cannot be fetched over https.
    #[error("pictures cannot be fetched from the network: {0}")]
    Remote(#[from] RemoteError),
    /// The model's thread ended while the server ran.
    #[error(
        "the model's thread has ended, which is a defect of this program; start it again, and report what the log says"
    )]
    ModelEnded,
}

/// A model behind a port.
pub struct Server {
    listener: TcpListener,
    app: Arc<App>,
    router: axum::Router,
}

impl Server {
    /// Takes the model over and listens; requests are answered as soon as it [runs](Self::run).
    ///
    /// # Errors
    /// If the port cannot be had, or an option is wrong.
    pub async fn bind(pipeline: Pipeline, options: ServerOptions) -> Result<Self, ServerError> {
        let (host, port) = (options.host.clone(), options.port);
        let listener = TcpListener::bind((host.as_str(), port)).await;
        let listening = listener.and_then(|listener| Ok((listener.local_addr()?, listener)));
        let (address, listener) = listening.map_err(|source| ServerError::Listen { host, port, source })?;
        let hosts = Hosts::new(&options, address.ip())?;
        let remote = options.remote_media.clone().map(RemoteMedia::new).transpose()?;
        let grammars = compiler(&pipeline);
        let service = Service::start(pipeline, options.service)?;
        let app = Arc::new(App::new(service, options, hosts, remote, grammars));
        let router = router(&app)?;
        Ok(Self { listener, app, router })
    }

    /// The address that it listens on, with the port that was taken.
    ///
    /// # Errors
    /// If the system does not say.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers requests until `shutdown`; then takes no more questions, finishes the answers that it has begun, and returns.
    /// Until the last of these has ended it listens, and tells everybody else that it is not ready.
    ///
    /// # Errors
    /// [`ServerError::ModelEnded`] if the model's thread ends before that, so that whoever started the server starts another.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), ServerError> {
        let Self { listener, app, router } = self;
        let graceful = GracefulShutdown::new();
        let mut connections = JoinSet::new();
        let places = Arc::new(Semaphore::new(app.options.limits.connections.max(1)));
        let mut last_answer = pin!(last_answer(shutdown, Arc::clone(&app)));
        let deadline = loop {
            tokio::select! {
                deadline = &mut last_answer => break deadline,
                // Those that ended are let go of.
                Some(_) = connections.join_next() => {}
                (stream, place) = accept(&listener, &places) => {
                    connections.spawn(serve(stream, place, router.clone(), graceful.watcher(), app.options.limits.clone()));
                }
            }
        };
        drop(listener);
        if timeout_at(deadline, graceful.shutdown()).await.is_err() {
            tracing::warn!("answers that were not finished in time are broken off");
        }
        // A connection that is dropped cancels its answers, so that the model's thread ends soon.
        connections.shutdown().await;
        let ended_unasked = app.service.has_ended();
        let stopped = spawn_blocking(move || app.service.stop()).await;
        if stopped.is_err() {
            tracing::error!("the model's thread did not end well");
        }
        if ended_unasked { Err(ServerError::ModelEnded) } else { Ok(()) }
    }
}

/// Waits for `shutdown` or the end of the model's thread, and then for the end of the last answer, but no longer than until the
/// moment that it gives: by then all has to be over.
async fn last_answer(shutdown: impl Future<Output = ()>, app: Arc<App>) -> Instant {
    tokio::select! {
        () = shutdown => {}
        () = model_ended(&app.service) => {}
    }
    let deadline = Instant::now() + app.options.limits.drain_timeout;
    // Whether it was in time shows at the connections.
    let _ = timeout_at(deadline, app.drain()).await;
    deadline
}

async fn model_ended(service: &Service) {
    while !service.has_ended() {
        sleep(MODEL_PAUSE).await;
    }
}

/// The next connection, when there is a place for it.
async fn accept(listener: &TcpListener, places: &Arc<Semaphore>) -> (TcpStream, Option<OwnedSemaphorePermit>) {
    // None would mean a closed semaphore, and nobody closes it.
    let place = Arc::clone(places).acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (stream, place),
            Err(error) => {
                tracing::warn!("a connection was not accepted: {error}");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Answers the requests of one connection.
async fn serve(
    stream: TcpStream,
    _place: Option<OwnedSemaphorePermit>,
    router: axum::Router,
    watcher: Watcher,
    limits: ServerLimits,
) {
    // Tokens are sent as they come. Where the system does not do that, they come later.
    let _ = stream.set_nodelay(true);
    let stream = TokioIo::new(PatientStream::new(stream, limits.write_timeout));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(MAX_HEAD_BYTES)
        .max_headers(MAX_HEADERS)
        .serve_connection(stream, TowerToHyperService::new(router));
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!("a connection ended: {error}");
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use qvl::EngineOptions;
    use qvl_export::{ExportOptions, NoProgress, export};

    use super::*;

    fn pipeline() -> Pipeline {
        let folder = tempfile::tempdir().unwrap();
        let checkpoint = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../reference/tiny/dense-tied");
        let package = folder.path().join("package");
        export(&checkpoint, &ExportOptions::new(package.clone()), &NoProgress).unwrap();
        Pipeline::open(&package, &EngineOptions::default()).unwrap()
    }

    #[tokio::test]
    async fn a_server_ends_when_its_model_does() {
        let options = ServerOptions { port: 0, ..ServerOptions::default() };
        let server = Server::bind(pipeline(), options).await.unwrap();
        let app = Arc::clone(&server.app);
        assert!(app.check_ready().is_ok());
        let running = tokio::spawn(server.run(std::future::pending()));
        let service = app.service.clone();
        spawn_blocking(move || service.stop()).await.unwrap();
        assert!(app.check_ready().is_err());
        assert!(matches!(running.await.unwrap(), Err(ServerError::ModelEnded)));
    }
}
