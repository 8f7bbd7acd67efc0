//! What the server counts, in the text format of Prometheus.

use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use qvl::service::Statistics;

/// Upper bounds of the buckets for the time to the first token, in seconds.
const FIRST_TOKEN_BUCKETS: [f64; 10] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// Upper bounds of the buckets for the time of each further token, in seconds.
const TOKEN_BUCKETS: [f64; 10] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.5];

/// Counters of the server; those of the model are in [`Statistics`].
#[derive(Debug)]
pub(crate) struct Metrics {
    requests: Mutex<BTreeMap<(&'static str, u16), u64>>,
    first_token: Histogram,
    token: Histogram,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            requests: Mutex::default(),
            first_token: Histogram::new(&FIRST_TOKEN_BUCKETS),
            token: Histogram::new(&TOKEN_BUCKETS),
        }
    }
}

/// When the last token of an answer came, or the request if none has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    last: Instant,
    begun: bool,
}

impl Pace {
    pub(crate) fn since(asked: Instant) -> Self {
        Self { last: asked, begun: false }
    }
}

impl Metrics {
    /// A request to `endpoint` was answered with `status`.
    pub(crate) fn request(&self, endpoint: &'static str, status: u16) {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        *requests.entry((endpoint, status)).or_default() += 1;
    }

    /// A token of an answer came.
    pub(crate) fn token(&self, pace: &mut Pace) {
        let now = Instant::now();
        let histogram = if pace.begun { &self.token } else { &self.first_token };
        histogram.observe(now - pace.last);
        *pace = Pace { last: now, begun: true };
    }

    /// All counters, the model's included.
    pub(crate) fn exposition(&self, model: &Statistics) -> String {
        let mut page = Page::default();
        page.family("qvl_http_requests_total", "counter", "Requests by endpoint and status.");
        for ((endpoint, status), count) in self.requests.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            page.sample("qvl_http_requests_total", &format!("{{endpoint=\"{endpoint}\",status=\"{status}\"}}"), count);
        }
        page.histogram("qvl_time_to_first_token_seconds", "From the request to the first token.", &self.first_token);
        page.histogram("qvl_time_per_token_seconds", "From one token to the next.", &self.token);
        page.model(model);
        page.0
    }
}

/// Durations by upper bounds.
#[derive(Debug)]
struct Histogram {
    bounds: &'static [f64],
    /// One for each bound, and one for what is above all.
    counts: Vec<AtomicU64>,
    microseconds: AtomicU64,
}

impl Histogram {
    fn new(bounds: &'static [f64]) -> Self {
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self { bounds, counts, microseconds: AtomicU64::new(0) }
    }

    fn observe(&self, duration: Duration) {
        let bucket = self.bounds.partition_point(|bound| *bound < duration.as_secs_f64());
        if let Some(count) = self.counts.get(bucket) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        let microseconds = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.microseconds.fetch_add(microseconds, Ordering::Relaxed);
    }
}

/// The page that is served.
#[derive(Default)]
struct Page(String);

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing into a string does not fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &str, value: impl Display) {
        let _ = writeln!(self.0, "{name}{labels} {value}");
    }

    fn single(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.family(name, kind, help);
        self.sample(name, "", value);
    }

    fn histogram(&mut self, name: &str, help: &str, histogram: &Histogram) {
        self.family(name, "histogram", help);
        let bucket = format!("{name}_bucket");
        let mut below = 0;
        let bounds = histogram.bounds.iter().map(ToString::to_string).chain(["+Inf".to_owned()]);
        for (bound, count) in bounds.zip(&histogram.counts) {
            below += count.load(Ordering::Relaxed);
            self.sample(&bucket, &format!("{{le=\"{bound}\"}}"), below);
        }
        let seconds = histogram.microseconds.load(Ordering::Relaxed) as f64 / 1e6;
        self.sample(&format!("{name}_sum"), "", seconds);
        self.sample(&format!("{name}_count"), "", below);
    }

    fn model(&mut self, model: &Statistics) {
        let gauges = [
            ("qvl_requests_waiting", "Answers that wait for a place.", model.waiting),
            ("qvl_requests_running", "Answers that are worked on.", model.running),
            ("qvl_cache_bytes", "Bytes of keys and values.", model.cache_bytes),
            ("qvl_kept_sequences", "Finished answers whose keys and values are kept.", model.kept_sequences),
            ("qvl_largest_batch", "Most answers in one decode step so far.", model.largest_batch),
        ];
        for (name, help, value) in gauges {
            self.single(name, "gauge", help, value);
        }
        self.family("qvl_answers_total", "counter", "Answers by how they ended.");
        for (end, count) in [("finished", model.finished), ("cancelled", model.cancelled), ("failed", model.failed)] {
            self.sample("qvl_answers_total", &format!("{{end=\"{end}\"}}"), count);
        }
        let counters = [
            ("qvl_prompt_tokens_total", "Tokens of prompts.", model.prompt_tokens),
            ("qvl_cached_prompt_tokens_total", "Tokens of prompts that were still in the cache.", model.cached_tokens),
            ("qvl_generated_tokens_total", "Tokens of answers.", model.generated_tokens),
            ("qvl_drafted_tokens_total", "Tokens that prompt lookup proposed.", model.drafted_tokens),
            ("qvl_accepted_tokens_total", "Proposed tokens that the model chose.", model.accepted_tokens),
            ("qvl_pictures_encoded_total", "Pictures and videos that were encoded.", model.pictures_encoded),
            (
                "qvl_pictures_cached_total",
                "Pictures and videos whose features were still there.",
                model.pictures_cached,
            ),
            ("qvl_decode_steps_total", "Decode steps, each for all running answers.", model.decode_steps),
            ("qvl_decode_rows_total", "Answers in all decode steps together.", model.decode_rows),
        ];
        for (name, help, value) in counters {
            self.single(name, "counter", help, value);
        }
        let seconds = [
            ("qvl_vision_seconds_total", "Time spent on encoding pictures.", model.vision),
            ("qvl_prefill_seconds_total", "Time spent on prompts' tokens.", model.prefill),
            ("qvl_decode_seconds_total", "Time spent on answers' tokens.", model.decode),
        ];
        for (name, help, value) in seconds {
            self.single(name, "counter", help, value.as_secs_f64());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_what_prometheus_reads() {
        let metrics = Metrics::default();
        metrics.request("/v1/models", 200);
        metrics.request("/v1/models", 200);
        metrics.first_token.observe(Duration::from_millis(300));
        metrics.first_token.observe(Duration::from_secs(100));
        let page = metrics.exposition(&Statistics {
            waiting: 3,
            decode: Duration::from_millis(1500),
            ..Statistics::default()
        });
        for line in [
            "qvl_http_requests_total{endpoint=\"/v1/models\",status=\"200\"} 2",
            "qvl_time_to_first_token_seconds_bucket{le=\"0.25\"} 0",
            "qvl_time_to_first_token_seconds_bucket{le=\"0.5\"} 1",
            "qvl_time_to_first_token_seconds_bucket{le=\"+Inf\"} 2",
            "qvl_time_to_first_token_seconds_sum 100.3",
            "qvl_time_to_first_token_seconds_count 2",
            "qvl_requests_waiting 3",
            "qvl_decode_seconds_total 1.5",
            "# TYPE qvl_cache_bytes gauge",
        ] {
            assert!(page.lines().any(|found| found == line), "{line} is not in\n{page}");
        }
    }

    #[test]
    fn the_first_token_is_not_the_pace_of_the_others() {
        let metrics = Metrics::default();
        let mut pace = Pace::since(Instant::now());
        (0..3).for_each(|_| metrics.token(&mut pace));
        let page = metrics.exposition(&Statistics::default());
        assert!(page.contains("qvl_time_to_first_token_seconds_count 1\n"));
        assert!(page.contains("qvl_time_per_token_seconds_count 2\n"));
    }
}
