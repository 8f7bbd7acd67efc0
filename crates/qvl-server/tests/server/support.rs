//! Servers with the demo model, and a client for them.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use qvl::media::read_image;
use qvl::{Answer, CancelFlag, EngineOptions, GenerationConfig, Message, Part, Pipeline, PromptOptions, Request, Role};
use qvl_export::{ExportOptions, NoProgress, Precision, export};
use qvl_server::{Server, ServerError, ServerOptions};
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::client::{Reply, Request as Http};

/// The demo model's package, exported once for all tests.
static PACKAGE: LazyLock<PathBuf> = LazyLock::new(|| {
    let package = Path::new(env!("CARGO_TARGET_TMPDIR")).join("qvl-server-demo");
    let mut options = ExportOptions::new(package.clone());
    options.precision = Precision::Fp32;
    options.overwrite = true;
    export(&workspace("demo/model"), &options, &NoProgress).unwrap();
    package
});

/// How long anything may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(240);

/// A file of the workspace.
pub fn workspace(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// The demo model without a server.
pub fn pipeline() -> Pipeline {
    Pipeline::open(&PACKAGE, &EngineOptions::default()).unwrap()
}

/// A file as a `data:` URL.
pub fn data_url(path: &str, media_type: &str) -> String {
    format!("data:{media_type};base64,{}", STANDARD.encode(fs::read(workspace(path)).unwrap()))
}

/// The picture of the first example.
pub fn figures() -> String {
    data_url("examples/pictures/figures.png", "image/png")
}

/// A chat request about pictures.
pub fn ask(pictures: &[String], text: &str) -> Value {
    let mut content: Vec<Value> =
        pictures.iter().map(|url| json!({"type": "image_url", "image_url": {"url": url}})).collect();
    content.push(json!({"type": "text", "text": text}));
    json!({"messages": [{"role": "user", "content": content}]})
}

/// `request` with more fields.
pub fn with(request: Value, fields: Value) -> Value {
    let (Value::Object(mut request), Value::Object(fields)) = (request, fields) else { panic!("no objects") };
    request.extend(fields);
    Value::Object(request)
}

/// What the model answers without a server.
pub fn alone(
    pipeline: &mut Pipeline,
    picture: Option<&str>,
    text: &str,
    change: impl FnOnce(&mut GenerationConfig),
) -> Answer {
    let media: Vec<_> = picture.map(|path| read_image(&workspace(path)).unwrap()).into_iter().collect();
    let mut parts: Vec<Part> = media.iter().map(|_| Part::Image(0)).collect();
    parts.push(Part::Text(text.to_owned()));
    let mut generation = pipeline.generation_config().clone();
    change(&mut generation);
    let request = Request {
        messages: &[Message::new(Role::User, parts)],
        media: &media,
        prompt: &PromptOptions::default(),
        generation: &generation,
        cancel: &CancelFlag::default(),
    };
    pipeline.generate(&request, &mut |_| std::ops::ControlFlow::Continue(())).unwrap()
}

/// A server that runs.
pub struct Running {
    pub address: String,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<Result<(), ServerError>>,
}

/// Starts a server on a free port.
pub async fn start(change: impl FnOnce(&mut ServerOptions)) -> Running {
    let mut options = ServerOptions { port: 0, model_name: "demo".to_owned(), ..ServerOptions::default() };
    change(&mut options);
    let server = Server::bind(pipeline(), options).await.unwrap();
    let address = server.address().unwrap().to_string();
    let (stop, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn(server.run(async {
        let _ = stopped.await;
    }));
    Running { address, stop: Some(stop), task }
}

impl Running {
    pub async fn get(&self, path: &str) -> Reply {
        Http::get(path).reply(&self.address).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Reply {
        Http::post(path, body.to_string()).reply(&self.address).await
    }

    pub async fn chat(&self, body: &Value) -> Reply {
        self.post("/v1/chat/completions", body).await
    }

    /// The events of a stream, without the `[DONE]` that must end those of the older endpoints.
    pub async fn stream(&self, path: &str, body: &Value) -> Vec<Value> {
        let body = with(body.clone(), json!({"stream": true}));
        let reply = self.post(path, &body).await;
        let text = reply.good().as_str().unwrap();
        let mut lines: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
        if path != "/v1/responses" {
            assert_eq!(lines.pop(), Some("[DONE]"));
        }
        lines.into_iter().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Waits until a metric has this value.
    pub async fn wait_for(&self, metric: &str, value: &str) {
        let wanted = format!("{metric} {value}");
        for _ in 0..2000 {
            let page = self.get("/metrics").await;
            if page.body.as_str().unwrap().lines().any(|line| line == wanted) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{wanted} did not come");
    }

    /// Asks the server to stop.
    pub fn ask_to_stop(&mut self) {
        let _ = self.stop.take().unwrap().send(());
    }

    /// Waits for its end.
    pub async fn ended(self) {
        tokio::time::timeout(PATIENCE, self.task).await.unwrap().unwrap().unwrap();
    }

    pub async fn stop(mut self) {
        self.ask_to_stop();
        self.ended().await;
    }
}
