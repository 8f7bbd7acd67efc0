//! `qvl serve`: it says where it listens, answers there, and ends when it is asked to.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a failure here is a failure of the test")]

mod common;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use common::{failure, package, qvl, std_qvl};

/// A server that is ended with the test.
struct Serving(Child);

impl Drop for Serving {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
    }
}

/// What comes back for a GET.
fn get(address: &str, path: &str, headers: &str) -> String {
    let mut socket = TcpStream::connect(address).unwrap();
    write!(socket, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n").unwrap();
    let mut text = String::new();
    socket.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn a_server_says_where_it_is_and_ends_when_asked() {
    let package = package("dense-tied");
    let mut command = std_qvl();
    command.arg("serve").arg(package.path().join("p")).args(["--port", "0", "--api-key", "secret"]);
    let mut serving = Serving(command.stdout(Stdio::piped()).spawn().unwrap());
    let mut line = String::new();
    BufReader::new(serving.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address =
        line.trim_end().strip_prefix("p is ready at http://127.0.0.1:").map(|port| format!("127.0.0.1:{port}"));
    let address = address.unwrap_or_else(|| panic!("{line}"));
    assert!(get(&address, "/ready", "").starts_with("HTTP/1.1 200"));
    assert!(get(&address, "/v1/models", "").starts_with("HTTP/1.1 401"));
    let models = get(&address, "/v1/models", "Authorization: Bearer secret\r\n");
    assert!(models.starts_with("HTTP/1.1 200") && models.contains("\"id\":\"p\""), "{models}");
    let status = Command::new("kill").args(["-TERM", &serving.0.id().to_string()]).status().unwrap();
    assert!(status.success());
    assert_eq!(serving.0.wait().unwrap().code(), Some(0));
}

#[test]
fn what_a_server_cannot_start_with_is_said() {
    let package = package("dense-tied");
    let with = |arguments: &[&str]| {
        let mut command = qvl();
        command.arg("serve").arg(package.path().join("p")).args(arguments);
        failure(&mut command, 1)
    };
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    assert!(with(&["--port", &port]).contains(&format!("cannot listen on 127.0.0.1, port {port}")));
    assert!(with(&["--port", "0", "--cors-origin", "example.org"]).contains("\"example.org\" is no origin"));
    assert!(with(&["--port", "0", "--allowed-host", "http://a"]).contains("\"http://a\" is no name of a host"));
    assert!(with(&["--api-key-file", "/nonexistent/keys"]).contains("cannot read /nonexistent/keys"));
    assert!(with(&["--api-key", ""]).contains("a key is empty"));
}
