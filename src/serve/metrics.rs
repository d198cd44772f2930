//! The metrics of serve in Prometheus' text format
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/>).
//!
//! The number of metrics is limited by the number of codes, buckets and remembered servers.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::certificate::Certificate;
use crate::code::Code;
use crate::plan::Plan;
use crate::probe::Verdict;

/// The upper bounds of the duration buckets, in milliseconds.
const BUCKETS: [u32; 10] = [5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000];
/// How many servers are remembered.
const SERVERS: usize = 4096;
/// How long a server is remembered after its last check. After this time, a server that was
/// removed from HAProxy disappears.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(3600);

/// The counters.
#[derive(Debug, Default)]
pub(super) struct Metrics(Mutex<Figures>);

#[derive(Debug, Default)]
struct Figures {
    checks: BTreeMap<u8, u64>,
    buckets: [u64; BUCKETS.len()],
    count: u64,
    sum: Duration,
    certificates: HashMap<(String, String), End>,
}

/// The earliest time at which a certificate of a server's chain expires.
#[derive(Debug)]
struct End {
    /// The time, in seconds since the epoch.
    at: u64,
    seen: Instant,
}

impl Metrics {
    /// Counts a request by the code of its answer.
    pub fn count(&self, code: Code) {
        *self.lock().checks.entry(code.number()).or_default() += 1;
    }

    /// Counts a check, and remembers the earliest time at which a certificate of its server's chain expires.
    pub fn add(&self, plan: &Plan, verdict: &Verdict) {
        let chain = verdict.seen.chain.iter();
        let ends = chain.filter_map(|der| Some(Certificate::read(der)?.not_after));
        let end = ends.min().map(|end| end.as_secs());
        self.count(verdict.code());
        let mut figures = self.lock();
        let took = verdict.seen.times.total;
        figures.count += 1;
        figures.sum += took;
        for (bucket, most) in figures.buckets.iter_mut().zip(BUCKETS) {
            *bucket += u64::from(took <= Duration::from_millis(most.into()));
        }
        if let (Some(caller), Some(at)) = (&plan.caller, end) {
            let name = (caller.backend.clone(), caller.server.clone());
            figures.remember(name, at, Instant::now());
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Figures> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the page for Prometheus.
    pub fn page(&self) -> String {
        let mut figures = self.lock();
        figures.forget(Instant::now());
        let mut text = String::new();
        figures.write(&mut text);
        text
    }
}

impl Figures {
    /// Remembers the earliest time at which a certificate of a server's chain expires, unless too many
    /// servers are remembered.
    fn remember(&mut self, name: (String, String), at: u64, now: Instant) {
        if self.certificates.len() >= SERVERS {
            self.forget(now);
        }
        if self.certificates.len() < SERVERS || self.certificates.contains_key(&name) {
            self.certificates.insert(name, End { at, seen: now });
        }
    }

    fn forget(&mut self, now: Instant) {
        let age = |end: &End| now.saturating_duration_since(end.seen);
        self.certificates
            .retain(|_, end| age(end) < FORGOTTEN_AFTER);
    }

    fn write(&self, text: &mut String) {
        describe(text, "build_info", "gauge", "The version of sni-check.");
        let version = env!("CARGO_PKG_VERSION");
        line(text, "build_info", &format!("version=\"{version}\""), "1");
        describe(text, "checks_total", "counter", "Checks by their code.");
        for code in Code::ALL {
            let number = self.checks.get(&code.number()).copied().unwrap_or(0);
            let label = format!("code=\"{}\"", code.number());
            line(text, "checks_total", &label, &number.to_string());
        }
        let help = "How long checks took, from HAProxy's connection to the result.";
        describe(text, "check_duration_seconds", "histogram", help);
        let bucket = "check_duration_seconds_bucket";
        for (most, number) in BUCKETS.into_iter().zip(self.buckets) {
            let label = format!("le=\"{}\"", f64::from(most) / 1000.0);
            line(text, bucket, &label, &number.to_string());
        }
        let count = self.count.to_string();
        line(text, bucket, "le=\"+Inf\"", &count);
        let sum = self.sum.as_secs_f64().to_string();
        line(text, "check_duration_seconds_sum", "", &sum);
        line(text, "check_duration_seconds_count", "", &count);
        let name = "certificate_end_timestamp_seconds";
        let help =
            "The earliest time at which a certificate of the server's chain expires, in Unix time.";
        describe(text, name, "gauge", help);
        let mut ends: Vec<_> = self.certificates.iter().collect();
        ends.sort_unstable_by_key(|(names, _)| *names);
        for ((backend, server), end) in ends {
            let (backend, server) = (escaped(backend), escaped(server));
            let labels = format!("backend=\"{backend}\",server=\"{server}\"");
            line(text, name, &labels, &end.at.to_string());
        }
    }
}

fn describe(text: &mut String, name: &str, kind: &str, help: &str) {
    let _ = write!(
        text,
        "# HELP sni_check_{name} {help}\n# TYPE sni_check_{name} {kind}\n"
    );
}

fn line(text: &mut String, name: &str, labels: &str, value: &str) {
    let _ = match labels {
        "" => writeln!(text, "sni_check_{name} {value}"),
        labels => writeln!(text, "sni_check_{name}{{{labels}}} {value}"),
    };
}

/// Escapes the value of a label. The format has escapes only for the backslash, the quote and the line feed.
fn escaped(value: &str) -> String {
    let value = value.replace('\\', "\\\\").replace('"', "\\\"");
    value.replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::{Code, FORGOTTEN_AFTER, Figures, Metrics, SERVERS, escaped};

    #[test]
    fn every_code_has_a_line_from_the_start() {
        let metrics = Metrics::default();
        metrics.count(Code::AtLimit);
        let page = metrics.page();
        for code in Code::ALL {
            let number = u8::from(code == Code::AtLimit);
            let line = format!(
                "sni_check_checks_total{{code=\"{}\"}} {number}\n",
                code.number()
            );
            assert!(page.contains(&line), "{page}");
        }
        assert!(page.contains("le=\"0.005\"} 0\n"), "{page}");
        assert_eq!(escaped("a\"b\\c\n"), "a\\\"b\\\\c\\n");
    }

    #[test]
    fn the_page_shows_a_limited_number_of_servers_and_forgets_them() {
        let mut figures = Figures::default();
        let start = Instant::now();
        let name = |number: usize| ("b".to_owned(), number.to_string());
        let shown = |figures: &Figures| {
            let mut page = String::new();
            figures.write(&mut page);
            let lines = page.lines().filter(|line| line.contains("server="));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        for number in 0..SERVERS + 100 {
            figures.remember(name(number), 1, start);
        }
        // A known server keeps its place.
        figures.remember(name(0), 2, start + FORGOTTEN_AFTER / 2);
        let lines = shown(&figures);
        assert_eq!(lines.len(), 4096);
        assert!(
            lines[0].ends_with("{backend=\"b\",server=\"0\"} 2"),
            "{}",
            lines[0]
        );
        figures.remember(name(SERVERS), 3, start + FORGOTTEN_AFTER);
        let lines = shown(&figures);
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[1].ends_with("{backend=\"b\",server=\"4096\"} 3"));
    }
}
