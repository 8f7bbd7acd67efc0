//! The names that the server answers to.
//!
//! Whoever owns a name can give it the address 127.0.0.1 after a browser has loaded a page from it: the page and what the
//! server says are of one origin then (DNS rebinding). What the page cannot change is the name in the `Host` header.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::HOST;
use axum::http::uri::Authority;
use axum::middleware::Next;
use axum::response::Response;
use url::Host;

use crate::app::App;
use crate::error::ApiError;
use crate::options::ServerOptions;

/// A name that no host can have.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no name of a host; give it without scheme and port, as qvl.example.org, or * for all")]
pub struct HostNameError(pub(crate) String);

/// Which names requests may give in `Host`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Hosts {
    All,
    /// Those of the loopback interface, and these.
    Loopback(Vec<Host<String>>),
}

impl Hosts {
    /// Names are checked where some are listed, and where nothing but the loopback interface keeps others away.
    ///
    /// # Errors
    /// If a name of the options is none.
    pub(crate) fn new(options: &ServerOptions, listens_on: IpAddr) -> Result<Self, HostNameError> {
        let names = &options.allowed_hosts;
        let is_open = names.is_empty() && !(listens_on.to_canonical().is_loopback() && options.api_keys.is_empty());
        if is_open || names.iter().any(|name| name == "*") {
            return Ok(Self::All);
        }
        // The standard of URLs has nothing against the star in a name; here it would promise what is not done.
        let parse =
            |name: &String| host(name).filter(|_| !name.contains('*')).ok_or_else(|| HostNameError(name.clone()));
        names.iter().map(parse).collect::<Result<_, _>>().map(Self::Loopback)
    }

    /// Whether a request may be for `authority`, a name with or without a port.
    fn allow(&self, authority: &str) -> bool {
        let Self::Loopback(listed) = self else { return true };
        let named = authority.parse::<Authority>().ok().and_then(|authority| host(authority.host()));
        named.is_some_and(|named| is_loopback(&named) || listed.contains(&named))
    }
}

/// The host that `name` means, in the one spelling that names and addresses have.
fn host(name: &str) -> Option<Host<String>> {
    let address = name.parse::<Ipv6Addr>().map(Host::Ipv6);
    address.ok().or_else(|| Host::parse(name.strip_suffix('.').unwrap_or(name)).ok())
}

fn is_loopback(host: &Host<String>) -> bool {
    match host {
        Host::Domain(name) => name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.to_canonical().is_loopback(),
    }
}

/// Lets a request through if all names that it gives for the server are allowed. One that gives none, as a probe may in
/// HTTP/1.0, is not from a browser.
pub(crate) async fn require_host(
    State(app): State<Arc<App>>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let of_target = request.uri().authority().map(Authority::as_str);
    let of_headers = request.headers().get_all(HOST).iter().map(|value| value.to_str().unwrap_or_default());
    let refused = of_target.into_iter().chain(of_headers).find(|named| !app.hosts.allow(named));
    if let Some(named) = refused {
        return Err(ApiError::unknown_host(named));
    }
    Ok(next.run(request).await)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(names: &[&str], keys: &[&str], listens_on: &str) -> Result<Hosts, HostNameError> {
        let owned = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        let options = ServerOptions { allowed_hosts: owned(names), api_keys: owned(keys), ..ServerOptions::default() };
        Hosts::new(&options, listens_on.parse().unwrap())
    }

    #[test]
    fn names_are_checked_where_nothing_else_keeps_others_away() {
        for loopback in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
            assert_eq!(hosts(&[], &[], loopback), Ok(Hosts::Loopback(Vec::new())), "{loopback}");
            assert_eq!(hosts(&[], &["key"], loopback), Ok(Hosts::All));
            assert_eq!(hosts(&["*"], &[], loopback), Ok(Hosts::All));
            assert_ne!(hosts(&["a"], &["key"], loopback), Ok(Hosts::All));
        }
        for other in ["0.0.0.0", "192.168.0.1", "::"] {
            assert_eq!(hosts(&[], &[], other), Ok(Hosts::All), "{other}");
            assert_ne!(hosts(&["a"], &[], other), Ok(Hosts::All));
        }
    }

    #[test]
    fn every_spelling_of_the_loopback_interface_is_allowed_and_no_other_name() {
        let hosts = hosts(&[], &[], "::1").unwrap();
        for name in [
            "localhost",
            "LocalHost:8080",
            "localhost.",
            "127.0.0.1",
            "127.0.0.1:1",
            "127.255.0.9",
            "[::1]",
            "[::1]:80",
        ] {
            assert!(hosts.allow(name), "{name}");
        }
        for name in [
            "",
            ":80",
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example:8080",
            "a.localhost",
            "128.0.0.1",
            "0.0.0.0",
            "[::]",
            "[::2]:80",
            "local host",
            "localhost, evil.example",
        ] {
            assert!(!hosts.allow(name), "{name}");
        }
    }

    #[test]
    fn listed_names_are_allowed_in_any_spelling() {
        let hosts = hosts(&["Qvl.Example.org", "bücher.example", "fd00::1", "10.1.2.3"], &[], "0.0.0.0").unwrap();
        for name in ["qvl.example.ORG:8080", "xn--bcher-kva.example", "[FD00::1]:80", "10.1.2.3:80", "localhost"] {
            assert!(hosts.allow(name), "{name}");
        }
        for name in ["example.org", "a.qvl.example.org", "10.1.2.4"] {
            assert!(!hosts.allow(name), "{name}");
        }
    }

    #[test]
    fn what_is_no_name_is_refused_at_the_start() {
        for name in ["", "http://a", "a:80", "a/b", "a b", "*.example.org"] {
            let error = hosts(&[name], &[], "127.0.0.1").unwrap_err().to_string();
            let wanted = format!("{name:?} is no name of a host; give it without scheme and port");
            assert!(error.starts_with(&wanted), "{error}");
        }
    }
}
