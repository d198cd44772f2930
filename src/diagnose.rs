//! `sni-check diagnose`: says what is wrong with a server, at which layer, and what to put into haproxy.cfg.
//! It runs the check itself, and variations of the check in parallel.
//!
//! `Plan -> Facts -> weighed causes -> trials -> Report -> text or JSON`. docs/json.md documents the JSON
//! object that `--json` prints.

mod ask;
mod attempts;
mod change;
mod gather;
mod lines;
mod path;
mod print;
mod report;
pub mod servers;
mod session;
mod stage;
mod steps;
mod trials;
mod view;

use std::io;
use std::time::{Duration, Instant};

use anyhow::Result;
use rustix::stdio::stderr;

use crate::causes::facts::{Facts, Origin};
use crate::code::Code;
use crate::options::Options;
use crate::output::write::write_text;
use crate::plan::Plan;
use crate::start::{Channel, Expiry, Text, expire_after, never_expire};

use self::ask::Opinion;
use self::gather::gather;
use self::report::Report;
use self::session::{Phase, Session, show_phase};
use self::trials::Search;

/// The text of `diagnose --help`.
pub const HELP: &str = "\
Says what is wrong with a server, at which layer, and what to put into
haproxy.cfg. diagnose runs the check, and then makes more handshakes and
requests to find the cause. It also starts HAProxy for about a second, as this
user and with a configuration that diagnose writes. This HAProxy checks the
server, and tries the lines for haproxy.cfg before diagnose prints them.
diagnose changes nothing. Its exit code is the check's.

Without a TARGET it finds HAProxy's configuration, reads HAProxy's statistics,
and diagnoses every server that is DOWN. A TARGET of the form BACKEND/SERVER
names one server of the configuration. Any other TARGET is a URL or HOST[:PORT],
with the options of a check (see sni-check --help) except --quiet and --syslog.
--verbose prints everything that diagnose has seen, and lines that don't work
yet. diagnose also has these options:

Examples:
  sni-check diagnose
  sni-check diagnose -f /etc/haproxy/haproxy.cfg be/web1
  sni-check diagnose www.example.com
  sni-check diagnose --connect 203.0.113.7:443 --uri /healthz www.example.com
  sni-check diagnose --ca-file /etc/ssl/company.pem --json app.example.com:8443
";

/// Diagnoses the server, prints the report, and returns the code of the check.
///
/// # Errors
/// Fails if the program of `--haproxy FILE` can't be run. In this case, diagnose sends nothing.
pub fn run(plan: Plan, options: Options, start: Instant) -> Result<Code> {
    let text = format!(
        "{} takes too long to diagnose (a limit of sni-check). Run sni-check without diagnose: a single check ends \
         at its --timeout. Total ",
        plan.target
    );
    bound(
        longest(plan.timeout).saturating_sub(start.elapsed()),
        &text,
        start,
    );
    let session = Session::new(options.haproxy.as_deref())?;
    let json = plan.output.json;
    let (text, code) = show_phase(&session, || {
        let facts = gather(plan, options, &Origin::default(), &session);
        let (search, opinion) = investigate(facts, &session);
        let report = Report::new(&search, &opinion);
        let text = match json {
            true => report.object(),
            false => report.text(),
        };
        (text, search.asked.code())
    });
    never_expire();
    write_text(io::stdout(), &text);
    Ok(code)
}

/// Looks for the cause and for changes that help, and asks HAProxy about both.
fn investigate(asked: Facts, session: &Session) -> (Search, Opinion) {
    let haproxy = session.haproxy.as_ref();
    let mut search = Search::run(asked, session);
    session.enter(Phase::Haproxy);
    let mut opinion = Opinion::ask(&search, haproxy);
    loop {
        let is_further = match opinion.proved.take() {
            Some(proved) => search.adopt(proved, session),
            // If only HAProxy got a response, the possible causes of its status propose further changes.
            None => search.add_status(opinion.facts.as_ref()),
        };
        if !is_further {
            break;
        }
        opinion = Opinion::ask(&search, haproxy);
    }
    search.add_haproxy(opinion.facts.clone());
    (search, opinion)
}

/// Returns the time limit of a diagnosis: eight times the check's time limit, plus 35 seconds for everything
/// else.
fn longest(timeout: Duration) -> Duration {
    timeout * 8 + Duration::from_secs(35)
}

/// Ends the program after the time `left`. The program then prints `text`, which gives the reason, and the
/// milliseconds since `start`.
fn bound(left: Duration, text: &str, start: Instant) {
    let to = Channel::Descriptor(stderr());
    let texts = vec![Text::new(to, text, "ms\n")];
    let code = Code::Internal;
    expire_after(left, Expiry { code, start, texts });
}
