//! How a server runs: where it listens, who may ask, and how much a request may cost.

use std::time::Duration;

use qvl::service::ServiceOptions;

use crate::remote::RemoteLimits;

/// What a server needs to know besides the model.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// The interface to listen on, as a name or an address.
    pub host: String,
    /// The port; 0 takes a free one.
    pub port: u16,
    /// What the model is called in requests and answers.
    pub model_name: String,
    /// Keys of which a request must bring one; with none, everybody may ask.
    pub api_keys: Vec<String>,
    /// Origins whose pages may read the answers (`https://example.org`, or `*` for all); with none, only the server's own.
    pub cors_origins: Vec<String>,
    /// Names that requests may give for the server besides those of the loopback interface, or `*` for all. With none, names
    /// are checked where the server listens on the loopback interface and has no keys: against DNS rebinding.
    pub allowed_hosts: Vec<String>,
    /// How pictures are fetched from http and https addresses that requests name; with none, they are not.
    pub remote_media: Option<RemoteLimits>,
    /// How many answers are worked on at once, how many wait, and the memory for keys and values.
    pub service: ServiceOptions,
    /// What requests may cost.
    pub limits: ServerLimits,
}

impl Default for ServerOptions {
    /// The loopback interface, port 8080, no key, no other origins, no pictures from the network.
    fn default() -> Self {
        Self {
            host: "127.0.0.1".to_owned(),
            port: 8080,
            model_name: "qvl".to_owned(),
            api_keys: Vec::new(),
            cors_origins: Vec::new(),
            allowed_hosts: Vec::new(),
            remote_media: None,
            service: ServiceOptions::default(),
            limits: ServerLimits::default(),
        }
    }
}

/// What a request, and what all requests together, may cost. What exceeds a limit gets an error that names it.
#[derive(Debug, Clone)]
pub struct ServerLimits {
    /// Bytes of a request's body.
    pub body_bytes: usize,
    /// Bytes of all bodies that are read or waiting at the same time.
    pub bodies_bytes: usize,
    /// Bytes of text in one request.
    pub text_bytes: usize,
    /// Messages of a conversation.
    pub messages: usize,
    /// Pictures and videos of a request.
    pub pictures: usize,
    /// Pixels of all pictures of a request together, before they are scaled.
    pub picture_pixels: u64,
    /// Frames of all videos of a request together.
    pub frames: usize,
    /// Bytes that the prepared pictures of all requests may take at the same time.
    pub prepared_bytes: usize,
    /// Bytes of resized pictures that are kept for the next request that brings them.
    pub kept_picture_bytes: usize,
    /// Tokens of a prompt; the model's context bounds it in any case.
    pub prompt_tokens: usize,
    /// The largest `max_tokens` that may be asked for; the model's context bounds it in any case.
    pub answer_tokens: usize,
    /// Answers of one request: `n`, times the number of prompts of `/v1/completions`.
    pub choices: usize,
    /// Texts of `stop`.
    pub stop_texts: usize,
    /// Entries of `logit_bias`.
    pub logit_bias: usize,
    /// Functions in `tools`.
    pub tools: usize,
    /// Bytes of a JSON schema, and of all those of `tools` together.
    pub schema_bytes: usize,
    /// Connections at the same time; more wait to be accepted.
    pub connections: usize,
    /// How long the head of a request may take, and a connection may be idle between two requests.
    pub header_timeout: Duration,
    /// How long the body of a request may take.
    pub body_timeout: Duration,
    /// How long a client may leave an answer unread.
    pub write_timeout: Duration,
    /// How long answers may go on once the server was asked to stop.
    pub drain_timeout: Duration,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            body_bytes: 64 << 20,
            bodies_bytes: 512 << 20,
            text_bytes: 8 << 20,
            messages: 2048,
            pictures: 32,
            picture_pixels: 128_000_000,
            frames: 1024,
            prepared_bytes: 2 << 30,
            kept_picture_bytes: 64 << 20,
            prompt_tokens: 262_144,
            answer_tokens: 32_768,
            choices: 16,
            stop_texts: 16,
            logit_bias: 1024,
            tools: 128,
            schema_bytes: 128 << 10,
            connections: 1024,
            header_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(60),
            write_timeout: Duration::from_secs(60),
            drain_timeout: Duration::from_secs(120),
        }
    }
}
