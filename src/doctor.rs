//! `sni-check doctor`: how the external checks of a haproxy.cfg would fare on this host, before
//! they are relied on.
//!
//! `files -> Lines (words, variables, .if) -> Config (sections, inheritance) -> Call (what HAProxy
//! would run) -> Findings -> text or JSON`. With `--json` one object: `code` (the exit code),
//! `files`, `checks` (how many), `haproxy` (null without HAProxy; else `version`, `accepts`,
//! `says`), `findings` (each `mark`: `problem` or `note`, `id`, `file`, `line`, `about`: backends or
//! servers, `what`, `shows`, `write`), `not_understood` (`file`, `line`, `why`) and `runs` (null
//! without `--run`; else `exact` and `checks`: `backend`, `server`, `check_status`, `check_code`,
//! `meaning`, `milliseconds`).

mod address;
mod as_haproxy;
mod call;
mod command;
mod config;
mod files;
mod finding;
mod fit;
mod jail;
mod judge;
mod launch;
mod lines;
mod options;
mod print;
mod program;
mod run;
mod sections;
mod server;

use std::io;
use std::path::Path;

use anyhow::{Context, Result};

use crate::code::Code;
use crate::haproxy::program::{Haproxy, Opinion};
use crate::haproxy::variables::Variables;
use crate::output::mark::Mark;
use crate::output::write::write_text;

pub(crate) use self::as_haproxy::{INNER_COMMAND, become_check};
use self::call::Call;
use self::config::Config;
use self::finding::{Finding, Findings};
use self::jail::Jail;
use self::lines::Place;
pub use self::options::{DoctorOptions, help};
use self::run::{Outcome, Ran};

/// Where packages and images keep the configuration.
const USUAL: [&str; 2] = [
    "/etc/haproxy/haproxy.cfg",
    "/usr/local/etc/haproxy/haproxy.cfg",
];

/// What doctor has to say.
struct Report {
    files: Vec<String>,
    /// How many servers are checked by a program.
    checks: usize,
    findings: Findings,
    unclear: Vec<(Place, String)>,
    haproxy_version: Option<String>,
    haproxy_accepts: bool,
    haproxy_says: Vec<String>,
    ran: Option<Vec<Ran>>,
    /// Whether the checks ran in HAProxy's chroot and as its user.
    exact: bool,
}

/// Looks, prints, and returns the exit code: 0 when nothing stands in the way, 2 when a check cannot
/// work; with `--run` else the code of the first check that fails.
///
/// # Errors
/// Options that are refused, and a configuration that cannot be read.
pub fn run(options: &DoctorOptions) -> Result<Code> {
    let report = examine(options)?;
    let code = report.code();
    let text = match options.json {
        true => print::object(&report, code),
        false => print::text(&report, options.color.unwrap_or_default()),
    };
    write_text(io::stdout(), &text);
    Ok(code)
}

fn examine(options: &DoctorOptions) -> Result<Report> {
    let given = match options.file.as_slice() {
        [] => vec![usual()?.to_owned()],
        given => given.to_vec(),
    };
    let start = Variables::new(&options.env)?;
    let haproxy = Haproxy::find(options.haproxy.as_deref())?;
    let mut variables = start.clone();
    let lines = lines::read(&lines::files(&given)?, &mut variables, &haproxy)?;
    let mut config = sections::read(lines);
    let (jail, unclear) = Jail::new(&config.global);
    config.unclear.extend(unclear);
    let opinion = haproxy.opinion(&given, &start);
    let mut calls = Call::all(&config, &variables);
    let mut findings = Findings::default();
    if let Some(opinion) = &opinion {
        refused(opinion, &mut findings);
    }
    unset(&config, &mut findings);
    look(&config, &haproxy, &jail, &calls, &mut findings);
    findings.sort();
    let checks = calls.len();
    let ran = options.run.then(|| {
        calls.iter_mut().for_each(Call::resolve);
        run::all(&calls, &jail, launch::can_fork(&config, &haproxy, &jail))
    });
    let (accepts, says) = opinion.map_or((true, Vec::new()), |opinion| {
        (opinion.accepts, opinion.says)
    });
    Ok(Report {
        files: given,
        checks,
        findings,
        unclear: std::mem::take(&mut config.unclear),
        haproxy_version: haproxy.version_text,
        haproxy_accepts: accepts,
        haproxy_says: says,
        ran,
        exact: run::is_exact(&jail),
    })
}

fn usual() -> Result<&'static str> {
    let found = USUAL.into_iter().find(|file| Path::new(file).exists());
    found.with_context(|| {
        format!(
            "neither {} nor {} is there; write -f FILE",
            USUAL[0], USUAL[1]
        )
    })
}

/// All that is found without running anything.
fn look(config: &Config, haproxy: &Haproxy, jail: &Jail, calls: &[Call], findings: &mut Findings) {
    launch::global(config, haproxy, jail, findings);
    launch::descriptors(config, haproxy, calls, findings);
    for backend in &config.backends {
        launch::backend(backend, findings);
    }
    for call in calls {
        command::command(call, jail, findings);
        if !judge::is_ours(call) {
            continue;
        }
        if let Some(good) = judge::options(call, jail, findings) {
            fit::check(call, &good, jail, findings);
            fit::traffic(call, &good, config, haproxy, findings);
        }
    }
}

/// HAProxy's own verdict comes first.
fn refused(opinion: &Opinion, findings: &mut Findings) {
    if opinion.accepts {
        return;
    }
    let alert = opinion
        .says
        .iter()
        .find_map(|line| line.strip_prefix("[ALERT] "));
    findings.add(Finding {
        mark: Mark::Problem,
        id: "refused",
        place: None,
        about: Vec::new(),
        what: format!(
            "HAProxy refuses this configuration: {}",
            alert.unwrap_or("see haproxy -c")
        ),
        shows: "HAProxy does not start; on reload the old configuration stays".to_owned(),
        write: "see what haproxy -c says, below".to_owned(),
    });
}

/// What is judged with variables that HAProxy may have.
fn unset(config: &Config, findings: &mut Findings) {
    let Some((name, place)) = config.unset.first() else {
        return;
    };
    findings.add(Finding {
        mark: Mark::Note,
        id: "unset-variables",
        place: Some(place.clone()),
        about: config.unset.iter().map(|(name, _)| name.clone()).collect(),
        what: "these variables are not set here; HAProxy may have them".to_owned(),
        shows: "all that uses them is judged as if they were empty".to_owned(),
        write: format!("doctor --env {name}=VALUE, or --env @FILE (see doctor --help)"),
    });
}

impl Report {
    fn code(&self) -> Code {
        if self.findings.grave() {
            return Code::Refused;
        }
        let ran = self.ran.iter().flatten();
        let failed = ran
            .map(|ran| ran.outcome)
            .find(|outcome| *outcome != Outcome::Code(0));
        match failed {
            None => Code::Healthy,
            Some(Outcome::Code(code)) => Code::from_number(code).unwrap_or(Code::Refused),
            Some(_) => Code::Refused,
        }
    }
}
