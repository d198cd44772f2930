//! `sni-check doctor`: predicts what HAProxy's health checks report on this host, and where these results
//! differ from what visitors get.
//!
//! `files -> Configuration (HAProxy's grammar) -> Check and Traffic of each server (a Watch) -> Rules ->
//! Findings -> Report -> text or JSON`. docs/json.md describes the object of `--json`.

mod by_hand;
mod finding;
mod options;
mod report;
mod rules;
mod run;
mod shell;
pub(crate) mod survey;
mod visit;

use std::io;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::code::Code;
use crate::haproxy::config::Configuration;
use crate::haproxy::config::check::Check;
use crate::haproxy::config::connection::Reading;
use crate::haproxy::config::place::Place;
use crate::haproxy::config::statement::files_of;
use crate::haproxy::program::Haproxy;
use crate::haproxy::resolve::resolve;
use crate::haproxy::variables::Variables;
use crate::output::write::write_text;
use crate::refusal::refusal;

use self::finding::Finding;
pub use self::options::DoctorOptions;
use self::report::messages::fold;
use self::report::{Report, sorted};
pub(crate) use self::run::as_haproxy::{INNER_COMMAND, become_check};
use self::run::outcome::{Ran, Runs};
use self::visit::jail::Jail;
use self::visit::serving::Serving;
use self::visit::sources::Sources;
use self::visit::{Visit, Watch};

/// Examines the configuration, prints the report and returns the exit code. The code is 2 if something is
/// certain to go wrong. Otherwise it is the code of the first check of `--run` that fails, or 2 if that check
/// exits without a code of sni-check. If no check fails, the code is 0.
///
/// # Errors
/// doctor refuses an option or can't read the configuration.
pub fn run(options: &DoctorOptions) -> Result<Code> {
    let report = examine(options)?;
    let code = report.code();
    let text = match (options.json, options.github) {
        (true, _) => report::object::of(&report, code),
        (false, true) => report::annotations::of(&report),
        (false, false) => report::print::text(&report, options.color.unwrap_or_default()),
    };
    write_text(io::stdout(), &text);
    Ok(code)
}

/// Where the configuration came from. Only the report needs this, not the rules.
struct Read {
    sources: Sources,
    files: Vec<PathBuf>,
    /// The lines about HAProxy's user and group that doctor doesn't understand, and why.
    unclear: Vec<(Place, String)>,
}

/// Finds and reads the configuration, and calls `then` with everything that the rules and the report need.
///
/// # Errors
/// doctor finds no configuration or can't read it.
fn read<T>(options: &DoctorOptions, then: impl FnOnce(&Visit, Read) -> T) -> Result<T> {
    let base = Path::new(options.root.as_deref().unwrap_or("/"));
    let sources = Sources::find(&options.file, base)?;
    let given: Vec<String> = [&sources.environment[..], &options.env[..]].concat();
    let start = Variables::new(&given)?;
    let haproxy = Haproxy::find(options.haproxy.as_deref())?;
    let mut variables = start.clone();
    let files = files_of(&sources.files)?;
    let mut config = Configuration::read(&files, &mut variables, &haproxy)?;
    if options.run {
        // A name that HAProxy can't resolve stays a name, and the report says so.
        _ = resolve(&haproxy, &mut config);
    }
    let (jail, unclear) = Jail::new(&config.global, base);
    // With --root, doctor doesn't ask HAProxy, because HAProxy would look for the files on this host.
    let opinion = match options.root {
        None => haproxy.opinion(&sources.files, &start),
        Some(_) => None,
    };
    let reading = Reading {
        config: &config,
        variables: &variables,
        auto_sni: haproxy.version.is_some() && haproxy.at_least(3, 3),
        checks_follow_alpn: haproxy.at_least(3, 2),
    };
    let serving = match options.root {
        None => Serving::look(&jail),
        Some(_) => Serving::default(),
    };
    let mut visit = Visit {
        config: &config,
        haproxy: &haproxy,
        variables: &variables,
        reading,
        opinion: opinion.as_ref(),
        jail: &jail,
        serving: &serving,
        nofile: sources.nofile,
        call: options,
        watches: Vec::new(),
        followers: Vec::new(),
        judge: rules::of_check,
        try_check: run::would_fail,
    };
    visit.watches = visit.find_watches();
    visit.followers = visit.find_followers();
    let read = Read {
        sources,
        files,
        unclear,
    };
    Ok(then(&visit, read))
}

fn examine(options: &DoctorOptions) -> Result<Report> {
    refuse(options)?;
    read(options, |visit, read| report(options, visit, read))
}

fn report(options: &DoctorOptions, visit: &Visit, read: Read) -> Report {
    let says = visit.says();
    let runs = options.run.then(|| run::all(visit));
    let ran = |of: fn(&Runs) -> &Vec<Ran>| runs.as_ref().map_or(&[][..], |runs| of(runs));
    let ran = [ran(|runs| &runs.checks), ran(|runs| &runs.followers)];
    let count = |kind: fn(&Check) -> bool| {
        let active = visit.active();
        active.filter(|watch| kind(&watch.check)).count()
    };
    let name = |watch: &Watch| (watch.backend.name.clone(), watch.server.name.clone());
    let followers = visit.followers.iter().map(|follower| &follower.watch);
    let judged = visit.active().chain(followers).map(Watch::name);
    let version = visit.haproxy.version_text.clone();
    let mut findings = findings(visit, &options.ignore, ran);
    let other_messages = fold(&mut findings, &says);
    Report {
        checks: count(|check| matches!(check, Check::External(_))),
        own: count(|check| matches!(check, Check::Own(_))),
        served: count(|check| matches!(check, Check::Serve(_))),
        findings,
        servers: visit.watches.iter().map(name).collect(),
        judged: judged.collect(),
        files: read.sources.files,
        found_by: read.sources.found_by,
        read: read
            .files
            .iter()
            .map(|file| file.display().to_string())
            .collect(),
        unclear: [&visit.config.unclear[..], &read.unclear[..]].concat(),
        haproxy_version: version.filter(|_| options.root.is_none()),
        haproxy_accepts: visit.opinion.is_none_or(|opinion| opinion.accepts),
        haproxy_says: says,
        other_messages,
        runs,
    }
}

/// Refuses options that contradict each other, `--run` without `/proc`, and an `--ignore` that names no
/// finding.
fn refuse(options: &DoctorOptions) -> Result<()> {
    if options.run {
        run::possible()?;
    }
    if options.run && options.root.is_some() {
        let write = "leave one of the two out: checks run on this host, not below --root";
        return Err(refusal("--run", "contradicts --root", write));
    }
    if options.github && options.json {
        let write = "leave one of the two out";
        return Err(refusal("--github", "contradicts --json", write));
    }
    match options.ignore.iter().find(|id| !rules::has(id)) {
        Some(id) => Err(refusal(
            format!("--ignore {id}"),
            "is not the name of a finding",
            "write a name that --json prints as `id`",
        )),
        None => Ok(()),
    }
}

/// Returns the findings of the rules and of `--run`, merged and sorted. `ran` has the results of the checks,
/// and then the results of the servers that follow a checked server (`track`).
fn findings(visit: &Visit, ignored: &[String], ran: [&[Ran]; 2]) -> Vec<Finding> {
    let mut found = rules::findings(visit);
    run::confirm::confirm(&mut found, visit, ran[0]);
    rules::add_trackers(&mut found, visit);
    run::confirm::confirm(&mut found, visit, ran[1]);
    found.retain(|found| !ignored.iter().any(|id| id == found.id));
    rules::requests::combine(&mut found, visit);
    rules::hidden::restrict(&mut found, visit);
    sorted(found)
}
