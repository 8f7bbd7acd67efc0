//! What a URL asks for: checked before anything is looked up.

use url::{Host, Url};

use super::RemoteError;

/// Longer URLs are refused: servers commonly take 8 KiB of request line.
const LONGEST: usize = 8 * 1024;

/// A URL that may be fetched if its host's addresses may be.
#[derive(Debug, Clone)]
pub(super) struct Target {
    url: Url,
    /// The host in one of three forms. Every spelling of an IPv4 address that the URL standard knows has become one.
    pub(super) host: Host<String>,
    pub(super) port: u16,
}

impl Target {
    /// Reads a URL by the rules of the WHATWG standard, as browsers do, and is stricter with what others read differently:
    /// control characters, spaces, backslashes and user names are refused, not removed or repaired.
    pub(super) fn parse(text: &str) -> Result<Self, RemoteError> {
        check_characters(text)?;
        Self::of(Url::parse(text).map_err(|_| RemoteError::Url("it has no scheme and host, or a host that cannot be"))?)
    }

    /// Where a redirect leads, which may be relative.
    pub(super) fn redirect(&self, location: &str) -> Result<Self, RemoteError> {
        check_characters(location)?;
        Self::of(self.url.join(location).map_err(|_| RemoteError::Location)?)
    }

    fn of(url: Url) -> Result<Self, RemoteError> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(RemoteError::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(RemoteError::Url("it has a user name or a password"));
        }
        let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) else {
            return Err(RemoteError::Url("it has no host"));
        };
        // Below 1024 live protocols that would take a request of HTTP for one of theirs: mail, remote shells, databases.
        if !matches!(port, 80 | 443 | 1024..) {
            return Err(RemoteError::Port(port));
        }
        Ok(Self { host: host.to_owned(), port, url })
    }

    /// Whether the connection is encrypted.
    pub(super) fn is_encrypted(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// The value of the `Host` header: the port is there unless it is the scheme's own.
    pub(super) fn authority(&self) -> String {
        self.url.port().map_or_else(|| self.host.to_string(), |port| format!("{}:{port}", self.host))
    }

    /// Path and query. The fragment stays here.
    pub(super) fn path_and_query(&self) -> String {
        self.url.query().map_or_else(|| self.url.path().to_owned(), |query| format!("{}?{query}", self.url.path()))
    }
}

fn check_characters(text: &str) -> Result<(), RemoteError> {
    if text.len() > LONGEST {
        return Err(RemoteError::Url("it is longer than 8192 bytes"));
    }
    if text.chars().any(|c| c.is_control() || c.is_whitespace() || c == '\\') {
        return Err(RemoteError::Url("it has a space, a backslash or a control character"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(url: &str) -> String {
        Target::parse(url).unwrap_err().to_string()
    }

    #[test]
    fn the_parts_of_a_request_come_from_the_url() {
        let target = Target::parse("https://Example.ORG/a%20b/ü.png?x=1#part").unwrap();
        assert_eq!(target.authority(), "example.org");
        assert_eq!(target.path_and_query(), "/a%20b/%C3%BC.png?x=1");
        assert!(target.is_encrypted() && target.port == 443);
        let target = Target::parse("http://[2606:4700::1111]:8080").unwrap();
        assert_eq!((target.authority().as_str(), target.path_and_query().as_str()), ("[2606:4700::1111]:8080", "/"));
        assert!(!target.is_encrypted());
    }

    #[test]
    fn every_spelling_of_an_ipv4_address_becomes_one() {
        for url in [
            "http://127.0.0.1/",
            "http://127.0.0.1./",
            "http://2130706433/",
            "http://0x7f000001/",
            "http://0x7F.1/",
            "http://017700000001/",
            "http://0177.0.0.01/",
            "http://127.1/",
            "http://127.0.1/",
            "http://%31%32%37.0.0.1/",
            "http://127%2E0%2E0%2E1/",
            "http://１２７.０.０.１/",
            "http://①②⑦.0.0.1/",
            "http://127。0。0。1/",
        ] {
            let target = Target::parse(url).unwrap();
            assert_eq!(target.host.to_string(), "127.0.0.1", "{url}");
        }
    }

    #[test]
    fn what_programs_read_differently_is_refused() {
        let odd = "a space, a backslash or a control character";
        for url in [
            " http://example.org/",
            "http://example.org\\@10.0.0.1/",
            "http:\\\\example.org/",
            "http://exam\tple.org/",
            "http://example.org/\r\nHost: other",
            "http://example.org/\0",
            "http://example.org/\u{85}",
        ] {
            assert!(refusal(url).contains(odd), "{url:?}");
        }
        let nowhere = "no scheme and host";
        for url in [
            "",
            "picture.png",
            "//example.org/a.png",
            "http://",
            "http://[::1",
            "http://1.2.3.4.5/",
            "http://256.1.1.1/",
        ] {
            assert!(refusal(url).contains(nowhere), "{url:?}");
        }
        for url in ["http://user@example.org/", "http://:word@example.org/", "http://example.org@10.0.0.1/"] {
            assert!(refusal(url).contains("user name or a password"), "{url:?}");
        }
        assert!(refusal(&format!("http://example.org/{}", "a".repeat(LONGEST))).contains("longer than 8192 bytes"));
    }

    #[test]
    fn other_schemes_and_ports_are_refused() {
        for url in [
            "file:///etc/passwd",
            "FILE://localhost/etc/passwd",
            "ftp://example.org/",
            "gopher://example.org/",
            "data:,a",
        ] {
            assert!(refusal(url).contains("over http and https only"), "{url}");
        }
        for port in [0, 22, 25, 81, 445, 1023] {
            assert!(refusal(&format!("http://example.org:{port}/")).contains(&format!("port {port}")));
        }
        for port in [80, 443, 1024, 8080, 65535] {
            assert_eq!(Target::parse(&format!("http://example.org:{port}/")).unwrap().port, port);
        }
    }

    #[test]
    fn a_redirect_is_checked_like_the_first_url() {
        let first = Target::parse("https://example.org/a/b.png").unwrap();
        assert_eq!(first.redirect("../c.png").unwrap().path_and_query(), "/c.png");
        assert_eq!(first.redirect("//other.example/").unwrap().authority(), "other.example");
        assert!(matches!(first.redirect("file:///etc/passwd"), Err(RemoteError::Scheme)));
        assert!(matches!(first.redirect("//user@other.example/"), Err(RemoteError::Url(_))));
        assert!(matches!(first.redirect("/\\other.example/"), Err(RemoteError::Url(_))));
        assert!(matches!(first.redirect("http://[/"), Err(RemoteError::Location)));
    }
}
