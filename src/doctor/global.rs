//! What section `global` says that keeps HAProxy, or its checks, from starting.

use std::collections::BTreeSet;

use super::finding::{Effect, Finding};
use super::shell::shell;
use super::visit::Visit;
use crate::haproxy::config::place::Place;

/// The line with which an external check begins; `None` if there is no external check.
fn option<'a>(visit: &Visit<'a>) -> Option<&'a Place> {
    let mut checks = visit.config.external();
    checks.find_map(|backend| backend.settings.check.as_ref().map(|check| &check.place))
}

fn missing(visit: &Visit, finding: Finding, option: &Place, word: &str) -> Vec<Finding> {
    vec![
        finding
            .at(option)
            .about(visit.external())
            .write(format!("add a line to section global: {word}")),
    ]
}

pub(super) fn no_external_check(visit: &Visit) -> Vec<Finding> {
    let Some(option) = option(visit).filter(|_| visit.config.global.external_check.is_none())
    else {
        return Vec::new();
    };
    let what = "`external-check` is missing in section global";
    let finding =
        Finding::problem(Effect::NoStart, what).shows("HAProxy refuses the configuration");
    missing(visit, finding, option, "external-check")
}

pub(super) fn no_insecure_fork(visit: &Visit) -> Vec<Finding> {
    let lacks = visit.config.global.insecure_fork.is_none() && visit.haproxy.at_least(2, 2);
    let checks = visit
        .config
        .external()
        .any(|backend| visit.checks_of(backend) > 0);
    let Some(option) = option(visit).filter(|_| lacks && checks) else {
        return Vec::new();
    };
    let what = "`insecure-fork-wanted` is missing in section global";
    let finding = match visit.can_fork() {
        true => Finding::hint(what)
            .shows("works only while HAProxy runs as root; as another user: SOCKERR"),
        false => Finding::problem(Effect::Down, what)
            .shows("no check can be started: SOCKERR, every server is DOWN"),
    };
    missing(visit, finding, option, "insecure-fork-wanted")
}

/// HAProxy changes into its chroot whether it has external checks or not; `haproxy -c` doesn't.
pub(super) fn no_chroot(visit: &Visit) -> Vec<Finding> {
    let chroot = visit.config.global.chroot.as_ref();
    let missing = !visit.jail.root.is_dir() && !visit.has_empty_chroot();
    let Some(chroot) = chroot.filter(|_| missing) else {
        return Vec::new();
    };
    let what = format!("the folder of `chroot {}` does not exist", chroot.value);
    vec![
        Finding::problem(Effect::NoStart, what)
            .at(&chroot.place)
            .shows("HAProxy does not start")
            .paste(shell(["mkdir", "-p", &chroot.value])),
    ]
}

pub(super) fn chroot_auto(visit: &Visit) -> Vec<Finding> {
    let chroot = visit.config.global.chroot.as_ref();
    let checked = option(visit).is_some();
    let Some(chroot) = chroot.filter(|_| visit.has_empty_chroot() && checked) else {
        return Vec::new();
    };
    vec![
        Finding::problem(
            Effect::Down,
            "`chroot auto` is an empty folder: no program is in it",
        )
        .at(&chroot.place)
        .about(visit.external())
        .shows("PROCERR with code 255, every server is DOWN")
        .write(
            "name a chroot with sni-check inside it; or use HAProxy's own check, which needs \
                 no program",
        ),
    ]
}

/// HAProxy prepares external checks only for servers that its configuration has.
pub(super) fn runtime_servers(visit: &Visit) -> Vec<Finding> {
    let socket = visit.config.global.admin_socket.as_ref();
    let Some(socket) = socket.filter(|_| option(visit).is_some()) else {
        return Vec::new();
    };
    let what = "servers added at run time over this socket (`add server … check`) can't have \
                an external check (HAProxy 2.6 to 3.5)";
    vec![
        Finding::hint(what)
            .at(socket)
            .about(visit.external())
            .shows(
                "if you add one: HAProxy crashes (SIGSEGV), or the added server stays DOWN for ever, PROCERR \
                 with code 4294967295",
            )
            .write("use `add server` without `check`, or add it to a backend with option httpchk"),
    ]
}

/// Lines that HAProxy refuses because of how they fall into words. Nothing is concluded from them.
pub(super) fn broken_lines(visit: &Visit) -> Vec<Finding> {
    let refused = |what: String| {
        Finding::problem(Effect::NoStart, what)
            .shows("HAProxy does not start; on reload the old configuration stays")
    };
    let mut found: Vec<Finding> = Vec::new();
    for line in &visit.config.broken {
        let refusal = &line.value;
        let what = format!("{} {}", refusal.subject, refusal.what);
        found.push(refused(what).at(&line.place).write(&refusal.write));
    }
    for backend in &visit.config.backends {
        let too_many = backend.settings.too_many.as_ref();
        let Some(line) = too_many.filter(|_| !backend.settings.disabled) else {
            continue;
        };
        let Some((keyword, words)) = line.value.split_first() else {
            continue;
        };
        let what = format!(
            "external-check {keyword} has {} words after it, HAProxy takes one",
            words.len()
        );
        let finding = refused(what)
            .at(&line.place)
            .write(in_one_word(keyword, words));
        found.push(finding.about([backend.name.clone()]));
    }
    found
}

fn in_one_word(keyword: &str, words: &[String]) -> String {
    let text = words.join(" ");
    let plain =
        !text.contains(['"', '\'', '\\', '$', '#']) && words.iter().all(|word| !word.contains(' '));
    match (keyword, plain) {
        ("command", _) => "name the program alone, and put its options in double quotes into \
                           external-check path"
            .to_owned(),
        (_, true) => format!("put the text in double quotes: external-check path \"{text}\""),
        (_, false) => {
            "put the whole text in one pair of double quotes; within it write \\\" for a \
                       double quote and \\$ for a dollar"
                .to_owned()
        }
    }
}

/// HAProxy's own verdict on the configuration.
pub(super) fn refused(visit: &Visit) -> Vec<Finding> {
    let Some(opinion) = visit.opinion else {
        return Vec::new();
    };
    if let Some(why) = &opinion.broke_off {
        let what = format!("HAProxy's test of this configuration {why}");
        return vec![
            Finding::problem(Effect::NoStart, what)
                .shows("HAProxy may not start either; what it says of the configuration is missing")
                .write("run haproxy -c by hand; report a crash to HAProxy's developers"),
        ];
    }
    // Without its variables every configuration is refused: another rule says so.
    if opinion.accepts || !visit.config.unset.is_empty() {
        return Vec::new();
    }
    let what = format!("HAProxy refuses this configuration: {}", first_alert(visit));
    vec![
        Finding::problem(Effect::NoStart, what)
            .shows("HAProxy does not start; on reload the old configuration stays")
            .write("correct that line; haproxy -c -f FILE shows every fault"),
    ]
}

fn first_alert<'a>(visit: &Visit<'a>) -> &'a str {
    let mut lines = visit.opinion.into_iter().flat_map(|opinion| &opinion.says);
    let alert = lines.find_map(|line| line.strip_prefix("[ALERT] "));
    alert.unwrap_or("see haproxy -c")
}

/// Everything that depends on a variable which only HAProxy may have is judged as if it were empty.
pub(super) fn unset_variables(visit: &Visit) -> Vec<Finding> {
    let Some((name, place)) = visit.config.unset.first() else {
        return Vec::new();
    };
    let names: BTreeSet<&String> = visit.config.unset.iter().map(|(name, _)| name).collect();
    let (what, write) = match visit.env_given {
        false => (
            "these variables are not set here; HAProxy may have them",
            format!("call doctor with --env {name}=VALUE, or --env @FILE (see doctor --help)"),
        ),
        true => (
            "these variables are set neither here nor by --env",
            format!("set {name}=VALUE where HAProxy is started, or \"${{{name}-DEFAULT}}\" here"),
        ),
    };
    let refused = visit.opinion.is_some_and(|opinion| !opinion.accepts);
    let (finding, shows) = match refused {
        true => (
            Finding::problem(Effect::NoStart, what),
            format!("HAProxy refuses the configuration if it doesn't have them either: {}", first_alert(visit)),
        ),
        false => (
            Finding::note(Effect::Either, what),
            "doctor judges everything that uses them as if they were empty; DOWN or UP may differ where HAProxy has them".to_owned(),
        ),
    };
    vec![
        finding
            .at(place)
            .about(names.into_iter().cloned())
            .shows(shows)
            .write(write),
    ]
}
