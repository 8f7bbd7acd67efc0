//! `qvl serve`

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use qvl::service::ServiceOptions;
use qvl_server::remote::{Network, RemoteLimits};
use qvl_server::{ServerLimits, ServerOptions};

use super::{EngineArgs, PackageArg};

/// Longest file of keys that is read.
const MAX_KEY_FILE_BYTES: u64 = 1 << 20;

/// `qvl serve`
#[derive(Debug, Args)]
#[command(after_help = "\
When the model is loaded, one line with the address is printed; a browser shows a page to chat there. Clients of OpenAI's
API use the address with /v1. The paths:
  /v1/chat/completions, /v1/completions, /v1/responses, /v1/models, /tokenize, /detokenize
  /health (the process lives), /ready (it would take a request), /metrics (for Prometheus)
With keys, all of them but the page, /health and /ready want the header `Authorization: Bearer KEY`.

Ctrl-C or SIGTERM: running answers are finished, new questions get status 503; a second one ends the program at once.

Examples:
  qvl serve
  qvl serve qwen3-vl-4b-int4 --port 9000 --max-batch 16 --cache-mib 4096
  qvl serve qwen3-vl-4b-int4 --host 0.0.0.0 --api-key-file keys.txt --allow-remote-media")]
pub struct ServeArgs {
    #[command(flatten)]
    pub package: PackageArg,
    /// The interface to listen on: a name or an address; 0.0.0.0 for all
    #[arg(long, value_name = "HOST", default_value = "127.0.0.1")]
    pub host: String,
    /// The port to listen on; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = 8080)]
    pub port: u16,
    /// What the model is called in the API [default: the name of the package's directory]
    #[arg(long, value_name = "NAME")]
    pub model_name: Option<String>,
    /// A key that requests must bring; may be given several times. Other users of the machine can read it in the list of
    /// processes: the environment or a file is better
    #[arg(long = "api-key", value_name = "KEY", env = "QVL_API_KEY", hide_env_values = true)]
    pub api_keys: Vec<String>,
    /// A file with a key on each line
    #[arg(long, value_name = "FILE")]
    pub api_key_file: Option<PathBuf>,
    /// An origin whose pages may use the API, as https://example.org, or * for all; may be given several times
    #[arg(long = "cors-origin", value_name = "ORIGIN")]
    pub cors_origins: Vec<String>,
    /// A host name that requests may be for, besides localhost and 127.0.0.1, or * for all; may be given several times.
    /// Without it names are checked only on the loopback interface without keys, so that no page can use the server under
    /// a name of its own
    #[arg(long = "allowed-host", value_name = "NAME")]
    pub allowed_hosts: Vec<String>,
    /// Fetch pictures from http and https addresses that requests name, unless they are private ones
    #[arg(long)]
    pub allow_remote_media: bool,
    /// Fetch them from these private addresses too, as 10.1.2.3 or 10.1.0.0/16; may be given several times
    #[arg(long, value_name = "RANGE", requires = "allow_remote_media")]
    pub remote_media_from: Vec<Network>,
    #[command(flatten)]
    pub scheduling: SchedulingArgs,
    #[command(flatten)]
    pub limits: LimitArgs,
    #[command(flatten)]
    pub engine: EngineArgs,
}

/// How answers share the model.
#[derive(Debug, Args)]
#[command(next_help_heading = "Scheduling")]
pub struct SchedulingArgs {
    /// Answers that may wait; more get status 503
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..))]
    pub max_queue: u32,
    /// Answers that are worked on at once
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..))]
    pub max_batch: u32,
    /// Memory for keys and values, MiB
    #[arg(long, value_name = "MIB", default_value_t = 2048)]
    pub cache_mib: u32,
}

/// What a request may cost.
#[derive(Debug, Args)]
#[command(next_help_heading = "Limits of a request")]
pub struct LimitArgs {
    /// Size of its body, MiB
    #[arg(long, value_name = "MIB", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..))]
    pub max_body_mib: u32,
    /// Pictures and videos
    #[arg(long, value_name = "N", default_value_t = 32)]
    pub max_pictures: u32,
    /// Megapixels of all its pictures together, as they are sent
    #[arg(long, value_name = "N", default_value_t = 128)]
    pub max_megapixels: u32,
    /// Frames of all its videos together
    #[arg(long, value_name = "N", default_value_t = 1024)]
    pub max_frames: u32,
    /// Memory for the scaled pictures of all requests at the same time, MiB
    #[arg(long, value_name = "MIB", default_value_t = 2048)]
    pub picture_mib: u32,
    /// Memory for scaled pictures that are kept for the next turns of their conversations, MiB
    #[arg(long, value_name = "MIB", default_value_t = 64)]
    pub kept_picture_mib: u32,
    /// Tokens of the prompt [default: the model's context]
    #[arg(long, value_name = "N")]
    pub max_prompt_tokens: Option<u32>,
    /// The largest max_tokens
    #[arg(long, value_name = "N", default_value_t = 32_768, value_parser = clap::value_parser!(u32).range(1..))]
    pub max_answer_tokens: u32,
    /// The largest n
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..))]
    pub max_choices: u32,
    /// Size of a JSON schema, KiB
    #[arg(long, value_name = "KIB", default_value_t = 128)]
    pub max_schema_kib: u32,
    /// Connections at the same time; more wait
    #[arg(long, value_name = "N", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..))]
    pub max_connections: u32,
    /// Seconds that its head may take, and that a connection may be idle
    #[arg(long, value_name = "S", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..))]
    pub header_timeout: u32,
    /// Seconds that its body may take
    #[arg(long, value_name = "S", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    pub body_timeout: u32,
    /// Seconds that a client may leave an answer unread
    #[arg(long, value_name = "S", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    pub write_timeout: u32,
    /// Seconds that answers may go on after Ctrl-C or SIGTERM
    #[arg(long, value_name = "S", default_value_t = 120)]
    pub drain_timeout: u32,
}

impl ServeArgs {
    /// The options for the library; `name` is what the model is called if nothing was given.
    ///
    /// # Errors
    /// If the keys cannot be read.
    pub fn options(&self, name: &str) -> anyhow::Result<ServerOptions> {
        Ok(ServerOptions {
            host: self.host.clone(),
            port: self.port,
            model_name: self.model_name.clone().unwrap_or_else(|| name.to_owned()),
            api_keys: self.keys()?,
            cors_origins: self.cors_origins.clone(),
            allowed_hosts: self.allowed_hosts.clone(),
            remote_media: self.remote_media(),
            service: self.scheduling.options(),
            limits: self.limits.limits(),
        })
    }

    fn remote_media(&self) -> Option<RemoteLimits> {
        let permitted = self.remote_media_from.clone();
        self.allow_remote_media.then(|| RemoteLimits { permitted, ..RemoteLimits::default() })
    }

    /// The keys of the command line, the environment and the file.
    fn keys(&self) -> anyhow::Result<Vec<String>> {
        let mut keys = self.api_keys.clone();
        if let Some(path) = &self.api_key_file {
            let bytes = fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?.len();
            if bytes > MAX_KEY_FILE_BYTES {
                bail!("{} has {bytes} bytes; a file of keys has a key on each line", path.display());
            }
            let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
            let before = keys.len();
            keys.extend(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned));
            if keys.len() == before {
                bail!("{} holds no key; write one on a line of its own", path.display());
            }
        }
        if keys.iter().any(String::is_empty) {
            bail!("a key is empty; give at least one character, or no --api-key and no QVL_API_KEY");
        }
        Ok(keys)
    }
}

impl SchedulingArgs {
    fn options(&self) -> ServiceOptions {
        ServiceOptions {
            max_queue: self.max_queue as usize,
            max_batch: self.max_batch as usize,
            cache_bytes: (self.cache_mib as usize) << 20,
        }
    }
}

impl LimitArgs {
    fn limits(&self) -> ServerLimits {
        let defaults = ServerLimits::default();
        let seconds = |seconds: u32| Duration::from_secs(seconds.into());
        ServerLimits {
            body_bytes: (self.max_body_mib as usize) << 20,
            pictures: self.max_pictures as usize,
            picture_pixels: u64::from(self.max_megapixels) * 1_000_000,
            frames: self.max_frames as usize,
            prepared_bytes: (self.picture_mib as usize) << 20,
            kept_picture_bytes: (self.kept_picture_mib as usize) << 20,
            prompt_tokens: self.max_prompt_tokens.map_or(defaults.prompt_tokens, |tokens| tokens as usize),
            answer_tokens: self.max_answer_tokens as usize,
            choices: self.max_choices as usize,
            schema_bytes: (self.max_schema_kib as usize) << 10,
            connections: self.max_connections as usize,
            header_timeout: seconds(self.header_timeout),
            body_timeout: seconds(self.body_timeout),
            write_timeout: seconds(self.write_timeout),
            drain_timeout: seconds(self.drain_timeout),
            ..defaults
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        serve: ServeArgs,
    }

    fn serve(arguments: &[&str]) -> ServeArgs {
        Line::try_parse_from([&["test"], arguments].concat()).unwrap().serve
    }

    #[test]
    fn the_defaults_are_those_of_the_library() {
        let given = serve(&[]).options("name").unwrap();
        let library = ServerOptions { model_name: "name".to_owned(), ..ServerOptions::default() };
        assert_eq!(format!("{given:?}"), format!("{library:?}"));
    }

    #[test]
    fn pictures_come_from_the_network_only_where_that_is_allowed() {
        assert!(serve(&[]).options("name").unwrap().remote_media.is_none());
        let arguments =
            ["--allow-remote-media", "--remote-media-from", "10.1.0.0/16", "--remote-media-from", "fd00::1"];
        let permitted = serve(&arguments).options("name").unwrap().remote_media.unwrap().permitted;
        assert_eq!(permitted, ["10.1.0.0/16".parse().unwrap(), "fd00::1".parse().unwrap()]);
        for wrong in [&arguments[1..], &["--allow-remote-media", "--remote-media-from", "intranet"]] {
            assert!(Line::try_parse_from([&["test"], wrong].concat()).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn keys_come_from_everywhere() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("keys");
        let path = file.to_str().unwrap();
        fs::write(&file, "b\n\n c \n").unwrap();
        let options = serve(&["--api-key", "a", "--api-key-file", path, "--model-name", "m"]).options("name").unwrap();
        assert_eq!(options.api_keys, ["a", "b", "c"]);
        assert_eq!(options.model_name, "m");
        fs::write(&file, "\n").unwrap();
        assert!(serve(&["--api-key-file", path]).options("name").is_err());
        assert!(serve(&["--api-key-file", "/nonexistent"]).options("name").is_err());
        assert!(serve(&["--api-key", ""]).options("name").is_err());
    }
}
