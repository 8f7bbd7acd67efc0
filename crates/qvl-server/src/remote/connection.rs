//! From a host to a connection with one of its addresses, each checked, and none looked up twice.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::Host;

use super::target::Target;
use super::{Network, RemoteError, is_public};

/// How long one address may take to answer, so that another of the same host gets its turn.
const PER_ADDRESS: Duration = Duration::from_secs(4);

/// What a name's addresses are asked of.
pub(super) trait Resolver: Send + Sync {
    fn addresses<'a>(
        &'a self,
        name: &'a str,
        port: u16,
    ) -> Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'a>>;
}

/// The machine's own resolver.
pub(super) struct SystemResolver;

impl Resolver for SystemResolver {
    fn addresses<'a>(
        &'a self,
        name: &'a str,
        port: u16,
    ) -> Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'a>> {
        Box::pin(async move { Ok(tokio::net::lookup_host((name, port)).await?.collect()) })
    }
}

/// A connection, encrypted or not.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Opens connections to addresses that may be connected to.
pub(super) struct Connector {
    resolver: Box<dyn Resolver>,
    tls: TlsConnector,
    /// Ranges that may be connected to although they are not public.
    permitted: Vec<Network>,
}

impl Connector {
    pub(super) fn new(
        resolver: Box<dyn Resolver>,
        roots: RootCertStore,
        permitted: Vec<Network>,
    ) -> Result<Self, RemoteError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { resolver, tls: TlsConnector::from(Arc::new(config)), permitted })
    }

    /// A connection with the target's host.
    pub(super) async fn connect(&self, target: &Target) -> Result<Box<dyn Stream>, RemoteError> {
        let addresses = self.checked_addresses(target).await?;
        let stream = first_that_answers(&addresses).await.map_err(RemoteError::Connect)?;
        if !target.is_encrypted() {
            return Ok(Box::new(stream));
        }
        let stream = self.tls.connect(server_name(&target.host)?, stream).await.map_err(RemoteError::Connect)?;
        Ok(Box::new(stream))
    }

    /// The host's addresses. One that may not be connected to spoils all: a name that mixes them is an attack or a mistake.
    async fn checked_addresses(&self, target: &Target) -> Result<Vec<SocketAddr>, RemoteError> {
        let addresses = match &target.host {
            Host::Ipv4(address) => vec![SocketAddr::new(IpAddr::V4(*address), target.port)],
            Host::Ipv6(address) => vec![SocketAddr::new(IpAddr::V6(*address), target.port)],
            Host::Domain(name) => {
                self.resolver.addresses(name, target.port).await.map_err(|error| RemoteError::Address(Some(error)))?
            }
        };
        if addresses.is_empty() || !addresses.iter().all(|address| self.may_connect(address.ip())) {
            return Err(RemoteError::Address(None));
        }
        Ok(addresses)
    }

    fn may_connect(&self, address: IpAddr) -> bool {
        is_public(address) || self.permitted.iter().any(|network| network.contains(address))
    }
}

async fn first_that_answers(addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in addresses {
        match tokio::time::timeout(PER_ADDRESS, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = error,
            Err(_) => last = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(last)
}

/// The name that the certificate must be for.
fn server_name(host: &Host<String>) -> Result<ServerName<'static>, RemoteError> {
    match host {
        Host::Ipv4(address) => Ok(ServerName::from(IpAddr::V4(*address))),
        Host::Ipv6(address) => Ok(ServerName::from(IpAddr::V6(*address))),
        // The dot that ends a full name is no part of a certificate's.
        Host::Domain(name) => ServerName::try_from(name.trim_end_matches('.').to_owned())
            .map_err(|_| RemoteError::Url("its host's name cannot be in a certificate")),
    }
}
