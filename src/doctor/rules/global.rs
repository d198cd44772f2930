//! Rules about the whole configuration, most of them about the `global` section. They find what prevents
//! HAProxy or its checks from starting.

use std::collections::BTreeSet;

use crate::doctor::finding::{Effect, Finding};
use crate::doctor::shell::shell;
use crate::doctor::visit::Visit;
use crate::haproxy::config::place::Place;
use crate::haproxy::config::proxy::{Backend, UnusedLine};
use crate::haproxy::program::{place_in, text_of};

use super::names::meant_sni;

/// Returns the line of the first `option external-check`, or `None` if no backend has an external check.
fn option<'a>(visit: &Visit<'a>) -> Option<&'a Place> {
    let mut checks = visit.config.external();
    checks.find_map(|backend| backend.settings.check.as_ref().map(|check| &check.place))
}

fn missing(visit: &Visit, finding: Finding, option: &Place, word: &str) -> Vec<Finding> {
    vec![
        finding
            .at(option)
            .about(visit.external())
            .write(format!("add a line to the `global` section: {word}")),
    ]
}

pub(crate) fn no_external_check(visit: &Visit) -> Vec<Finding> {
    let Some(option) = option(visit).filter(|_| visit.config.global.external_check.is_none())
    else {
        return Vec::new();
    };
    let what = "`external-check` is missing in the `global` section";
    let finding =
        Finding::problem(Effect::NoStart, what).shows("HAProxy refuses the configuration");
    missing(visit, finding, option, "external-check")
}

/// Reports the lines of the `global` section that an external check needs and that are missing. Leaves out
/// lines that other rules already report because the configuration has an external check.
pub(crate) fn lines_for_checks(visit: &Visit) -> Option<Finding> {
    let lacks_check = visit.config.global.external_check.is_none();
    let is_refused = lacks_check && no_external_check(visit).is_empty();
    let lines = [
        ("external-check", is_refused),
        (
            "insecure-fork-wanted",
            !visit.can_fork() && no_insecure_fork(visit).is_empty(),
        ),
    ];
    let lines = lines.iter().filter(|(_, is_missing)| *is_missing);
    let lines: Vec<&str> = lines.map(|(line, _)| *line).collect();
    let what = format!("the `global` section has no `{}`", lines.join("` and no `"));
    let write = match lines.len() {
        0 => return None,
        1 => "add this line there",
        _ => "add these lines there",
    };
    let effect = match is_refused {
        true => Effect::NoStart,
        false => Effect::Down,
    };
    Some(Finding::problem(effect, what).write(write))
}

pub(crate) fn no_insecure_fork(visit: &Visit) -> Vec<Finding> {
    let lacks = visit.config.global.insecure_fork.is_none() && visit.haproxy.at_least(2, 2);
    let checks = visit
        .config
        .external()
        .any(|backend| visit.checks_of(backend) > 0);
    let Some(option) = option(visit).filter(|_| lacks && checks) else {
        return Vec::new();
    };
    let what = "`insecure-fork-wanted` is missing in the `global` section";
    let finding = match visit.can_fork() {
        true => Finding::hint(what).shows(
            "external checks work while HAProxy runs as root; otherwise they fail with SOCKERR",
        ),
        false => Finding::problem(Effect::Down, what)
            .shows("HAProxy can't start a check: SOCKERR, every server is DOWN"),
    };
    missing(visit, finding, option, "insecure-fork-wanted")
}

/// Finds lines about checks in a section where HAProxy doesn't use them.
pub(crate) fn idle_lines(visit: &Visit) -> Vec<Finding> {
    let lacks_option =
        |backend: &&Backend| backend.settings.check.is_none() && visit.checks_of(backend) > 0;
    let without: Vec<String> = visit
        .backends()
        .filter(lacks_option)
        .map(|backend| backend.name.clone())
        .collect();
    let finding = |line: &UnusedLine| {
        let what = match line.is_frontend {
            true => format!("HAProxy ignores `{}` in a frontend", line.text),
            false => format!(
                "no backend uses this defaults section, so HAProxy ignores its `{}`",
                line.text
            ),
        };
        let write = match line.is_frontend {
            true => "write that line in the backend, or in its defaults",
            false => {
                "write that line in the last defaults section before the backend; or give this section a name, and \
                 write `from NAME` after the backend's name"
            }
        };
        match without.is_empty() {
            true => Finding::hint(what).shows("these lines do nothing"),
            false => Finding::note(Effect::Either, what).about(without.clone()).shows(
                "HAProxy checks with a plain connection (and the server line's TLS, if it has any): UP where that \
                 works, even if visitors get errors",
            ),
        }
        .at(&line.place)
        .write(write)
    };
    visit.config.unused_lines.iter().map(finding).collect()
}

/// Finds a chroot that doesn't exist. HAProxy enters its chroot even without external checks. `haproxy -c`
/// doesn't report a missing chroot, because it doesn't enter the chroot.
pub(crate) fn no_chroot(visit: &Visit) -> Vec<Finding> {
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

pub(crate) fn chroot_auto(visit: &Visit) -> Vec<Finding> {
    let chroot = visit.config.global.chroot.as_ref();
    let checked = option(visit).is_some();
    let Some(chroot) = chroot.filter(|_| visit.has_empty_chroot() && checked) else {
        return Vec::new();
    };
    vec![
        Finding::problem(
            Effect::Down,
            "`chroot auto` is an empty folder, which contains no program",
        )
        .at(&chroot.place)
        .about(visit.external())
        .shows("PROCERR with code 255, every server is DOWN")
        .write(
            "use a chroot that contains sni-check; or use HAProxy's own check, which needs no \
                 program",
        ),
    ]
}

/// Finds an admin socket. HAProxy prepares external checks only for the servers in its configuration, so a
/// server that is added over this socket can't have an external check.
pub(crate) fn runtime_servers(visit: &Visit) -> Vec<Finding> {
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
                "if you add one, HAProxy crashes (SIGSEGV), or the added server stays DOWN forever (PROCERR \
                 with code 4294967295)",
            )
            .write("use `add server` without `check`, or add the server to a backend with option httpchk"),
    ]
}

/// Finds lines that HAProxy can't split into words, or that have too many words. The other rules don't judge
/// these lines.
pub(crate) fn broken_lines(visit: &Visit) -> Vec<Finding> {
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
            "external-check {keyword} has {} words after it, but HAProxy accepts only one",
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
        ("command", _) => "write only the program in this line, and its options in double quotes \
                           in external-check path"
            .to_owned(),
        (_, true) => format!("put the text in double quotes: external-check path \"{text}\""),
        (_, false) => {
            "put the whole text in one pair of double quotes; within it write \\\" for a \
                       double quote and \\$ for a literal $"
                .to_owned()
        }
    }
}

/// Reports that HAProxy itself refuses the configuration, or that `haproxy -c` didn't finish.
pub(crate) fn refused(visit: &Visit) -> Vec<Finding> {
    let Some(opinion) = visit.opinion else {
        return Vec::new();
    };
    if let Some(why) = &opinion.broke_off {
        let what = format!("HAProxy's test of this configuration {why}");
        return vec![
            Finding::problem(Effect::NoStart, what)
                .shows("HAProxy may not start either; this report lacks HAProxy's own messages")
                .write("run haproxy -c by hand; report a crash to HAProxy's developers"),
        ];
    }
    // If variables that aren't set may be the reason, the rule `unset-variables` reports this.
    if opinion.accepts || lacks_variables(visit) {
        return Vec::new();
    }
    let alert = first_alert(visit);
    let place = alert.and_then(place_in).map(|(file, line)| Place {
        file: file.into(),
        line,
    });
    let what = format!(
        "HAProxy refuses this configuration: {}",
        alert.map_or("see haproxy -c", text_of)
    );
    let finding = Finding::problem(Effect::NoStart, what)
        .shows("HAProxy does not start; on reload the old configuration stays");
    vec![match place {
        Some(place) => {
            let backends = visit.config.backends.iter();
            let servers = backends.flat_map(|backend| &backend.servers);
            let mut here = servers.filter(|server| server.settings.place("sni") == Some(&place));
            let sni = here.find_map(|server| meant_sni(visit, server));
            let line = sni.map_or("correct that line".to_owned(), |sni| {
                format!("write sni {sni} in that line")
            });
            let write = format!("{line}; haproxy -c -f FILE shows every error");
            finding.at(&place).write(write)
        }
        None => Finding {
            place: alert.and_then(|alert| section_of(visit, alert)),
            ..finding
                .write("fix the error in HAProxy's message; haproxy -c -f FILE shows every error")
        },
    }]
}

/// Returns true if HAProxy refuses the configuration, and the reason may be that variables aren't set:
/// HAProxy's first alert is about a line that uses such a variable, or about no line.
fn lacks_variables(visit: &Visit) -> bool {
    let unset = &visit.config.unset;
    let is_refused = visit.opinion.is_some_and(|opinion| !opinion.accepts);
    let place = first_alert(visit).and_then(place_in);
    let uses = |(file, line): (&str, usize)| {
        let mut places = unset.iter().map(|(_, place)| place);
        places.any(|place| *place.file == *file && place.line == line)
    };
    is_refused && !unset.is_empty() && place.is_none_or(uses)
}

/// Returns HAProxy's first alert.
fn first_alert<'a>(visit: &Visit<'a>) -> Option<&'a str> {
    let mut lines = visit.opinion.into_iter().flat_map(|opinion| &opinion.says);
    let alert = lines.find(|line| line.starts_with("[ALERT]"));
    alert.map(String::as_str)
}

/// Returns the first line of the server or backend whose name an alert quotes.
fn section_of(visit: &Visit, alert: &str) -> Option<Place> {
    let quotes = |name: &str| alert.contains(&format!("'{name}'"));
    let backends = || visit.config.backends.iter();
    let server = backends().find_map(|backend| {
        let mut servers = backend.servers.iter();
        servers.find(|server| {
            let both = quotes(&backend.name) && quotes(&server.name);
            both || quotes(&format!("{}/{}", backend.name, server.name))
        })
    });
    let backend = || backends().find(|backend| quotes(&backend.name));
    let server = server.map(|server| server.place.clone());
    server.or_else(|| Some(backend()?.place.clone()))
}

/// Reports variables that are not set here. The other rules treat these variables as empty.
pub(crate) fn unset_variables(visit: &Visit) -> Vec<Finding> {
    let unset = &visit.config.unset;
    let Some((first, place)) = unset.first() else {
        return Vec::new();
    };
    let names: BTreeSet<&String> = unset.iter().map(|(name, _)| name).collect();
    let lines = names
        .iter()
        .map(|name| variable_and_lines(name, unset, place));
    let lines = lines.collect::<Vec<_>>().join("; ");
    let each = |pattern: &str, separator: &str| {
        let texts = names.iter().map(|name| pattern.replace("{}", name));
        texts.collect::<Vec<_>>().join(separator)
    };
    let (where_not, write) = match !visit.call.env.is_empty() {
        false => (
            "not set here, but HAProxy may have them",
            format!(
                "run doctor with {}, or with --env @FILE",
                each("--env {}=VALUE", " ")
            ),
        ),
        true => (
            "set neither here nor by --env",
            format!(
                "set {} where HAProxy is started, or write a default value, such as \"${{{first}-DEFAULT}}\"",
                each("{}", " and ")
            ),
        ),
    };
    let what = format!("these variables are {where_not}: {lines}");
    let (finding, shows) = match lacks_variables(visit) {
        true => (
            Finding::problem(Effect::NoStart, what),
            format!("HAProxy refuses the configuration if it doesn't have them either: {}", first_alert(visit).map_or("see haproxy -c", text_of)),
        ),
        false => (
            Finding::note(Effect::Either, what),
            "doctor treats these variables as empty; its other findings may be wrong if HAProxy has them".to_owned(),
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

/// Returns a variable and the lines that use it: `NAME in lines 3 and 7`. Names the file of a line only if
/// `first` is in another file.
fn variable_and_lines(name: &str, unset: &[(String, Place)], first: &Place) -> String {
    let places = unset.iter().filter(|(used, _)| used == name);
    let places: Vec<String> = places
        .map(|(_, place)| match place.file == first.file {
            true => place.line.to_string(),
            false => place.to_string(),
        })
        .collect();
    let word = if places.len() == 1 { "line" } else { "lines" };
    format!("{name} in {word} {}", places.join(" and "))
}
