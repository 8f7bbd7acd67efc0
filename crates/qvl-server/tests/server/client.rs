//! A small HTTP client, so that tests see what goes over the wire.

use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long an answer may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(300);

/// A request.
#[derive(Clone)]
pub struct Request {
    head: String,
    body: Vec<u8>,
}

impl Request {
    pub fn new(method: &str, path: &str) -> Self {
        Self { head: format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"), body: Vec::new() }
    }

    /// The same, for another host than localhost.
    pub fn of_host(mut self, host: &str) -> Self {
        self.head = self.head.replacen("Host: localhost\r\n", host, 1);
        self
    }

    pub fn get(path: &str) -> Self {
        Self::new("GET", path)
    }

    /// A POST of a JSON text.
    pub fn post(path: &str, body: impl Into<Vec<u8>>) -> Self {
        Self::new("POST", path).header("Content-Type", "application/json").body(body)
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.head += &format!("{name}: {value}\r\n");
        self
    }

    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        let length = self.body.len().to_string();
        self.header("Content-Length", &length)
    }

    /// The same bytes in pieces, without a length.
    pub fn chunked(mut self, pieces: &[&str]) -> Self {
        self.body = pieces.iter().map(|piece| format!("{:x}\r\n{piece}\r\n", piece.len())).collect::<String>().into();
        self.body.extend_from_slice(b"0\r\n\r\n");
        self.header("Transfer-Encoding", "chunked")
    }

    /// Sends it and reads the head of the answer.
    pub async fn send(&self, address: &str) -> Response {
        let mut socket = TcpStream::connect(address).await.unwrap();
        // A server that refuses the head may close before it has the body.
        let _ = socket.write_all(&[self.head.as_bytes(), b"\r\n", &self.body].concat()).await;
        let mut reader = BufReader::new(socket);
        let head = timeout(PATIENCE, read_head(&mut reader)).await.unwrap();
        Response { head, reader }
    }

    /// Sends it and reads the whole answer.
    pub async fn reply(&self, address: &str) -> Reply {
        self.send(address).await.whole().await
    }
}

/// An answer whose body is not read yet. Dropping it closes the connection.
pub struct Response {
    pub head: Head,
    reader: BufReader<TcpStream>,
}

/// Status and headers.
#[derive(Debug)]
pub struct Head {
    pub status: u16,
    headers: Vec<(String, String)>,
}

impl Head {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }
}

async fn read_head(reader: &mut BufReader<TcpStream>) -> Head {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).await.unwrap();
        match line.trim_end() {
            "" => break,
            text => lines.push(text.to_owned()),
        }
    }
    let status = lines.first().and_then(|line| line.split(' ').nth(1)).and_then(|status| status.parse().ok());
    let headers = lines.iter().skip(1).filter_map(|line| line.split_once(':'));
    let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect();
    Head { status: status.unwrap_or_else(|| panic!("no answer: {lines:?}")), headers }
}

impl Response {
    /// The next chunk of the body; none at its end, an error where it breaks off.
    pub async fn chunk(&mut self) -> std::io::Result<Option<String>> {
        let mut line = String::new();
        timeout(PATIENCE, self.reader.read_line(&mut line)).await??;
        let length = usize::from_str_radix(line.trim_end(), 16).map_err(std::io::Error::other)?;
        let mut bytes = vec![0; length + 2];
        timeout(PATIENCE, self.reader.read_exact(&mut bytes)).await??;
        bytes.truncate(length);
        Ok((length > 0).then(|| String::from_utf8(bytes).unwrap()))
    }

    /// The rest of a body that comes in chunks.
    pub async fn rest(&mut self) -> std::io::Result<String> {
        let mut text = String::new();
        while let Some(chunk) = self.chunk().await? {
            text += &chunk;
        }
        Ok(text)
    }

    async fn whole(mut self) -> Reply {
        let text = if self.head.header("transfer-encoding") == Some("chunked") {
            self.rest().await.unwrap()
        } else {
            let mut text = String::new();
            timeout(PATIENCE, self.reader.read_to_string(&mut text)).await.unwrap().unwrap();
            text
        };
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Reply { head: self.head, body }
    }
}

/// A whole answer; a body that is no JSON is a string.
pub struct Reply {
    pub head: Head,
    pub body: Value,
}

impl Reply {
    pub fn status(&self) -> u16 {
        self.head.status
    }

    /// The message of an error, which must have OpenAI's shape.
    pub fn message(&self) -> &str {
        let error = self.body["error"].as_object().unwrap_or_else(|| panic!("no error: {}", self.body));
        assert_eq!(error.keys().collect::<Vec<_>>(), ["message", "type", "param", "code"]);
        error["message"].as_str().unwrap()
    }

    /// The body of an answer that must be a good one.
    pub fn good(&self) -> &Value {
        assert_eq!(self.status(), 200, "{}", self.body);
        &self.body
    }

    /// The text of the first choice of a chat.
    pub fn text(&self) -> &str {
        let message = &self.good()["choices"][0]["message"];
        message["content"].as_str().unwrap_or_else(|| panic!("no text: {message}"))
    }
}
