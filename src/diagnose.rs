//! `sni-check diagnose`: what is wrong with a server, at which layer, and what to put into
//! haproxy.cfg. The check itself is run as it is, and variations of it beside it.
//!
//! `Plan -> Findings (probing) -> Report (words) -> text or JSON`. The README documents the object
//! of `--json`.

mod attempts;
mod chain;
mod cure;
mod findings;
mod lines;
mod print;
mod progress;
mod steps;
mod view;

use std::io;
use std::time::Instant;

use crate::code::Code;
use crate::options::Options;
use crate::output::escape::printable;
use crate::output::mark::Mark;
use crate::output::write::write_text;
use crate::plan::Plan;

use self::findings::Findings;

/// One step of the report.
struct Step {
    title: String,
    milliseconds: Option<f64>,
    lines: Vec<(Mark, String)>,
}

impl Step {
    fn new(title: impl Into<String>) -> Step {
        Step {
            title: title.into(),
            milliseconds: None,
            lines: Vec::new(),
        }
    }

    /// Adds a line; what comes from the server cannot forge another.
    fn line(&mut self, mark: Mark, text: impl AsRef<str>) {
        self.lines.push((mark, printable(text.as_ref())));
    }

    /// Whether a line says just this.
    fn says(&self, text: &str) -> bool {
        let text = printable(text);
        self.lines.iter().any(|(_, line)| *line == text)
    }

    /// The gravest mark of its lines.
    fn mark(&self) -> Mark {
        self.lines
            .iter()
            .map(|(mark, _)| *mark)
            .max()
            .unwrap_or(Mark::Ok)
    }
}
/// The text of `diagnose --help`.
pub const HELP: &str = "\
What is wrong with a server, at which layer, and what to put into haproxy.cfg.
The check is run as it is, with handshakes and requests beside it that tell
apart what can be wrong. Nothing is changed anywhere. The exit code is the
check's.

TARGET is a URL or HOST[:PORT]. The options are those of a check (see
sni-check --help), without --quiet, --verbose and --syslog, and:

  --color WHEN      auto (default: on a terminal, unless NO_COLOR is set),
                    always or never
  --json            the report as one JSON object

Examples:
  sni-check diagnose www.example.com
  sni-check diagnose --connect 203.0.113.7:443 --uri /healthz www.example.com
  sni-check diagnose --ca-file /etc/ssl/company.pem --json app.example.com:8443
";

/// Diagnoses, prints, and returns the code of the check.
pub fn run(plan: &Plan, options: &Options, start: Instant) -> Code {
    let findings = progress::shown(|progress| Findings::gather(plan, start, progress));
    let text = if plan.output.json {
        print::object(plan, options, &findings)
    } else {
        print::report(plan, options, &findings)
    };
    write_text(io::stdout(), &text);
    findings.verdict.code()
}
