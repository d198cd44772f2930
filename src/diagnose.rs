//! `sni-check diagnose`: what is wrong with a server, at which layer, and what to put into
//! haproxy.cfg. The check itself is run as it is, and variations of it beside it.
//!
//! `Plan -> Evidence (probing) -> Report (words) -> text or JSON`. The README documents the object
//! of `--json`.

mod advice;
mod answers;
mod attempts;
mod beside;
mod case;
mod certificate;
mod chain;
mod cut;
mod edit;
mod edits;
mod edits_http;
mod evidence;
mod external;
mod handshakes;
mod head;
mod http_step;
mod mixed;
mod namesake;
mod opinion;
mod print;
mod progress;
mod remedy;
mod revocation;
mod setup;
mod snippet;
mod status;
mod step;
mod steps;
mod unreachable;
mod view;

use std::io;
use std::time::{Duration, Instant};

use anyhow::Result;
use rustix::stdio::stderr;

use crate::code::Code;
use crate::haproxy::program::Haproxy;
use crate::options::Options;
use crate::output::write::write_text;
use crate::plan::Plan;
use crate::start::{Channel, Expiry, Text, expire_after, never_expire};

use self::case::Case;
use self::evidence::Evidence;
use self::opinion::Opinion;
use self::print::Report;
use self::progress::Phase;

/// The text of `diagnose --help`.
pub const HELP: &str = "\
What is wrong with a server, at which layer, and what to put into haproxy.cfg.
The check is run as it is, and handshakes and requests beside it find out which
of the possible causes it is. HAProxy itself is asked too: it is started for
about a second, as this user, with a configuration of its own, to check the
server and to try the lines before they are printed. Nothing is changed
anywhere. The exit code is the check's.

TARGET is a URL or HOST[:PORT]. The options are those of a check (see
sni-check --help), without --quiet, --verbose and --syslog. It has these, too:

Examples:
  sni-check diagnose www.example.com
  sni-check diagnose --connect 203.0.113.7:443 --uri /healthz www.example.com
  sni-check diagnose --ca-file /etc/ssl/company.pem --json app.example.com:8443
";

/// Diagnoses, prints, and returns the code of the check.
///
/// # Errors
/// `--haproxy FILE` that cannot be run; nothing was sent then.
pub fn run(plan: &Plan, options: &Options, start: Instant) -> Result<Code> {
    let haproxy = match options.haproxy.as_deref() {
        Some("none") => None,
        given => Some(Haproxy::find(given)?),
    };
    bound(plan, start);
    let (text, code) = progress::shown(|progress| {
        let evidence = Evidence::gather(plan, options, progress);
        let case = Case {
            plan,
            options,
            evidence: &evidence,
        };
        progress.enter(Phase::Haproxy);
        let opinion = Opinion::ask(case, haproxy.as_ref());
        let report = Report {
            case,
            opinion: &opinion,
            advice: &advice::advice(case, &opinion),
        };
        let text = match plan.output.json {
            true => report.object(),
            false => report.text(),
        };
        (text, evidence.code())
    });
    never_expire();
    write_text(io::stdout(), &text);
    Ok(code)
}

/// Bounds the whole, whatever a server does: each phase takes at most the check's time, and the rest
/// of the program little.
fn bound(plan: &Plan, start: Instant) {
    let longest = plan.timeout * 6 + Duration::from_secs(25);
    let text = format!(
        "{} takes too long to diagnose (a limit of sni-check); a check of it ends at its --timeout. Total ",
        plan.target
    );
    let to = Channel::Descriptor(stderr());
    let texts = vec![Text::new(to, &text, "ms\n")];
    let code = Code::Internal;
    let left = longest.saturating_sub(start.elapsed());
    expire_after(left, Expiry { code, start, texts });
}
