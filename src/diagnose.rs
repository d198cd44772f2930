//! `sni-check diagnose`: what is wrong with a server, at which layer, and what to put into
//! haproxy.cfg. The check itself is run as it is, and variations of it beside it.
//!
//! `Plan -> Evidence (probing) -> Report (words) -> text or JSON`. The README documents the object
//! of `--json`.

mod attempts;
mod case;
mod chain;
mod cure;
mod evidence;
mod print;
mod progress;
mod snippet;
mod step;
mod steps;
mod view;

use std::io;
use std::time::Instant;

use crate::code::Code;
use crate::options::Options;
use crate::output::write::write_text;
use crate::plan::Plan;

use self::case::Case;
use self::evidence::Evidence;

/// The text of `diagnose --help`.
pub const HELP: &str = "\
What is wrong with a server, at which layer, and what to put into haproxy.cfg.
The check is run as it is, and handshakes and requests beside it find out which
of the possible causes it is. Nothing is changed anywhere. The exit code is the
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
    let evidence = progress::shown(|progress| Evidence::gather(plan, start, progress));
    let case = Case {
        plan,
        options,
        evidence: &evidence,
    };
    let text = if plan.output.json {
        print::object(case)
    } else {
        print::report(case)
    };
    write_text(io::stdout(), &text);
    evidence.verdict.code()
}
