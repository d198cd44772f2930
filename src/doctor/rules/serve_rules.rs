//! Rules about what prevents `sni-check serve` from checking a backend's servers: wrong http-check lines, a
//! socket that HAProxy's user can't use, and files that serve may not read.

use std::iter;
use std::path::Path;
use std::time::Duration;

use crate::code::Code;
use crate::haproxy::call::own_command;
use crate::haproxy::config::check::Check;
use crate::haproxy::config::serve::ServeCheck;
use crate::options::expect::Expectation;
use crate::serve::answer::response;
use crate::serve::request::OPTIONS;

use super::serve_files::{Files, all_files};
use crate::doctor::finding::{Effect, Finding};
use crate::doctor::shell::shell;
use crate::doctor::visit::jail::{Need, Obstacle};
use crate::doctor::visit::own_check;
use crate::doctor::visit::serving::OF_UNIT;
use crate::doctor::visit::{Visit, Watch};

/// Where systemd looks for units.
const UNITS: [&str; 3] = [
    "/etc/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];

/// The time limit for the regular expressions in HAProxy's rules.
const LONGEST: Duration = Duration::from_secs(1);

const ENABLE: &str = "systemctl enable --now sni-check.socket";

/// Returns a finding which says that serve refuses HAProxy's requests. The finding is only a note if the
/// check doesn't ask serve yet.
fn refused(serve: &ServeCheck, what: impl Into<String>) -> Finding {
    // Without the rule that shows serve's code, HAProxy shows the status of the response.
    let code = if serve.shows_code() { 2 } else { 503 };
    let shows = format!("L7STS with code {code}, every server is DOWN");
    let finding = match serve.connect {
        Some(_) => Finding::problem(Effect::Down, what).shows(shows),
        None => Finding::note(Effect::Down, what)
            .shows(format!("{shows}, once the check asks sni-check serve"))
            .foretells(&["2"]),
    };
    finding
        .at(serve.place())
        .about([serve.backend.name.clone()])
}

/// Returns the server's http-check if it asks `sni-check serve`.
fn served<'a>(watch: &'a Watch) -> Option<&'a ServeCheck<'a>> {
    match &watch.check {
        Check::Serve(serve) => Some(serve),
        _ => None,
    }
}

pub(crate) fn without_state(_: &Visit, watch: &Watch) -> Option<Finding> {
    let serve = served(watch).filter(|serve| !serve.has_state)?;
    let what =
        "`http-check send-state` is missing: sni-check serve doesn't learn which server to check";
    Some(refused(serve, what).write("http-check send-state"))
}

pub(crate) fn without_options(_: &Visit, watch: &Watch) -> Option<Finding> {
    let serve = served(watch).filter(|serve| serve.options.is_none())?;
    let what = format!("the header {OPTIONS} is missing: sni-check serve refuses the request");
    Some(refused(serve, what).write(format!(
        "http-check send meth GET uri / hdr {OPTIONS} \"--sni NAME\""
    )))
}

pub(crate) fn without_connect(_: &Visit, watch: &Watch) -> Option<Finding> {
    let serve = served(watch).filter(|serve| serve.connect.is_none())?;
    let what = "`http-check connect addr` is missing: the check asks the server itself, not \
                sni-check serve";
    Some(
        Finding::note(Effect::Either, what)
            .at(serve.place())
            .about([watch.backend.name.clone()])
            .shows("L7STS or L6RSP (DOWN), or UP because of the server's own answer, while visitors may get 503")
            .foretells(&["L6RSP", "L7STS"])
            .write("http-check connect addr unix@/run/sni-check/socket, before http-check send"),
    )
}

/// Returns the codes of failed checks for which HAProxy's rules accept serve's answer. The second value is
/// false if the rules refuse serve's answer for a healthy server.
fn accepted(serve: &ServeCheck) -> (Vec<Code>, bool) {
    let accepts = |code: Code| {
        let response = response(code, "");
        own_check::judge(serve.backend, &response, LONGEST).map(|verdict| verdict.is_ok())
    };
    // doctor doesn't know the reasons that serve gives, so it can't judge a rule about them.
    let reads_reason = |rule: Expectation| rule.to_string().to_ascii_lowercase().contains("reason");
    let mut rules = own_check::expectations(serve.backend).into_iter().flatten();
    if rules.any(reads_reason) {
        return (Vec::new(), true);
    }
    let failed = Code::ALL.into_iter().filter(|code| *code != Code::Healthy);
    let failed = failed.filter(|code| accepts(*code) == Some(true));
    (failed.collect(), accepts(Code::Healthy) != Some(false))
}

/// Finds `http-check expect` rules that refuse a healthy server or accept a failed check. Also finds a check
/// for which HAProxy doesn't show serve's code and reason. Without an `http-check expect` rule, the server is
/// still DOWN if serve answers 503.
pub(crate) fn expects(_: &Visit, watch: &Watch) -> Option<Finding> {
    let serve = served(watch).filter(|serve| serve.connect.is_some())?;
    let rules = &watch.backend.settings.rules.http;
    let place = rules.all("expect").next().map(|rule| &rule.place);
    let place = place.unwrap_or(serve.place());
    let (failed, is_up) = accepted(serve);
    let finding = match failed.as_slice() {
        _ if !is_up => Finding::problem(
            Effect::Down,
            "sni-check serve answers 200 without a body if the server works, but http-check expect refuses this",
        )
        .shows("L7STS or L7RSP, every server is DOWN"),
        [] if serve.shows_code() => return None,
        [] => Finding::hint("`http-check expect … status-code` is missing: HAProxy doesn't show the code of sni-check")
            .shows("check_code 200 or 503 in place of the code, and last_chk without the reason"),
        failed if failed.len() + 1 == Code::ALL.len() => Finding::problem(
            Effect::Unchecked,
            "sni-check serve answers 200 if the server works and 503 if not; http-check expect accepts both",
        )
        .shows("UP whatever sni-check serve says, while visitors may get 503"),
        failed => {
            let codes: Vec<String> = failed.iter().map(|code| code.number().to_string()).collect();
            let what = "http-check expect accepts some failed checks of sni-check serve";
            Finding::note(Effect::Up, what).shows(format!(
                "UP if sni-check's code is {}, while visitors may get 503",
                codes.join(", ")
            ))
        }
    };
    Some(finding.at(place).about([watch.backend.name.clone()]).write(
        "http-check expect hdr name X-Check-Code value 0 status-code \"res.hdr(x-check-code)\" on-error \
         \"%[res.hdr(x-check-reason)]\"",
    ))
}

/// Finds a socket that HAProxy's user can't connect to.
pub(crate) fn socket(visit: &Visit, watch: &Watch) -> Option<Finding> {
    let finding = socket_of(served(watch)?, visit)?;
    Some(finding.about([watch.backend.name.clone()]))
}

fn socket_of(serve: &ServeCheck, visit: &Visit) -> Option<Finding> {
    let connect = serve.connect.as_ref()?;
    let jail = visit.jail;
    let path = serve.socket()?;
    let outside = jail.outside(&path);
    let problem = |what: String| {
        Finding::problem(Effect::Down, what)
            .at(&connect.place)
            .shows("SOCKERR, every server is DOWN")
    };
    Some(match jail.find(&path, Need::Connect).err()? {
        Obstacle::Missing => missing(serve, visit, &path, problem),
        Obstacle::NotRegular => problem(format!("{outside} is not a socket"))
            .write("write another path here; or move this file away, and start sni-check serve at its path:")
            .paste(call(visit, &outside, &all_files(serve, visit))),
        Obstacle::Forbidden(at) => forbidden(visit, &path, &outside, &at, problem),
        Obstacle::Hidden(_) => return None,
    })
}

fn missing(
    serve: &ServeCheck,
    visit: &Visit,
    path: &str,
    problem: impl Fn(String) -> Finding,
) -> Finding {
    let jail = visit.jail;
    let outside = jail.outside(path);
    let what = match jail.is_chroot() {
        true => format!("the socket {path} is not in {}", jail.name()),
        false => format!("the socket {path} does not exist"),
    };
    // The operator may have written the host's path, but HAProxy needs the path inside the chroot.
    let root = jail.root.display().to_string();
    let inside = path.strip_prefix(root.trim_end_matches('/'));
    let inside = inside.filter(|inside| jail.is_chroot() && inside.starts_with('/'));
    if let Some(inside) = inside.filter(|inside| jail.find(inside, Need::Connect).is_ok()) {
        return problem(format!("{what}; for HAProxy the socket is {inside}"))
            .write(format!("http-check connect addr unix@{inside}"));
    }
    let finding = problem(what);
    let listens = OF_UNIT.contains(&outside.as_str());
    let exists = |folder: &str| Path::new(folder).join("sni-check.socket").exists();
    let has_unit = listens && UNITS.iter().any(|folder| exists(folder));
    let needs = all_files(serve, visit);
    let finding = finding.write(advice(has_unit, &needs));
    match has_unit {
        true => finding.paste(needs.before(ENABLE)),
        false => finding.paste(needs.before(&call(visit, &outside, &needs))),
    }
}

/// Returns the text of the fix, which comes before a shell command. `has_unit` is true if the package's unit
/// listens at this path.
fn advice(has_unit: bool, needs: &Files) -> String {
    let files = needs.to_options();
    let files = shell(files.iter().map(String::as_str));
    let start = match (has_unit, files.as_str()) {
        (false, _) => "start sni-check serve:".to_owned(),
        (true, "") => "let systemd listen there:".to_owned(),
        (true, files) => format!(
            "add {files} to OPTIONS in /etc/default/sni-check, then let systemd listen there:"
        ),
    };
    match needs.copied.first() {
        None => start,
        Some(file) => format!(
            "{}, because the folder of {file} has private keys; then {start}",
            needs.renaming()
        ),
    }
}

/// Returns the command that starts `sni-check serve` on this socket. Its options let HAProxy's user connect
/// to the socket, and let serve read the files of all checks that ask this socket.
fn call(visit: &Visit, outside: &str, needs: &Files) -> String {
    let mut words = vec![
        own_command(),
        "serve".to_owned(),
        "--listen".to_owned(),
        format!("unix:{outside}"),
    ];
    if visit.jail.user.uid != 0 {
        words.extend(["--group".to_owned(), visit.jail.group.clone()]);
    }
    words.extend(needs.to_options());
    let call = shell(words.iter().map(String::as_str));
    let folder = Path::new(outside).parent();
    let missing = folder.filter(|folder| !folder.exists());
    match missing.map(|folder| folder.display().to_string()) {
        Some(folder) => format!("{} && {call}", shell(["install", "-d", &folder])),
        None => call,
    }
}

fn forbidden(
    visit: &Visit,
    path: &str,
    outside: &str,
    at: &Path,
    problem: impl Fn(String) -> Finding,
) -> Finding {
    let (user, obstacle) = (&visit.jail.user.name, at.display().to_string());
    let what = format!("user {user} may not connect to {path}: see the mode of {obstacle}");
    if obstacle != outside {
        return problem(what)
            .write("let HAProxy's user enter that folder:")
            .paste(shell(["chmod", "a+x", &obstacle]));
    }
    let group = &visit.jail.group;
    problem(what)
        .write(format!(
            "give the socket HAProxy's group; to keep the group after a restart, start sni-check serve \
             with --group {group} and without --mode:"
        ))
        .paste(format!(
            "{} && {}",
            shell(["chgrp", group, outside]),
            shell(["chmod", "660", outside])
        ))
}

/// Finds files that serve may not be allowed to read. serve's command line decides which files it may read,
/// and doctor doesn't know this command line. With `--run`, this rule finds nothing, because doctor then asks
/// serve.
pub(crate) fn files(visit: &Visit, watch: &Watch) -> Option<Finding> {
    let serve = served(watch)?;
    let options = &watch.own.as_ref()?.options;
    // The rule `serve-socket` already advises starting serve with these folders.
    let is_known = visit.serving.of(serve).is_some() || socket_of(serve, visit).is_some();
    if visit.call.run || is_known {
        return None;
    }
    let needs = Files::of(iter::once(options));
    if needs.folders.is_empty() {
        return None;
    }
    let named: Vec<&str> = options.files().map(|(_, file)| file).collect();
    let what = format!(
        "{OPTIONS} names {}, which sni-check serve reads only if they are in a folder of its --files",
        named.join(", ")
    );
    let wanted = needs.to_options();
    let wanted = shell(wanted.iter().map(String::as_str));
    let start = match needs.copied.as_slice() {
        [] => format!("start serve with {wanted}"),
        copied => format!(
            "copy {} there, {} and start serve with {wanted}",
            copied.join(" and "),
            needs.renaming()
        ),
    };
    Some(
        Finding::note(Effect::Down, what)
            .at(watch.options_place())
            .shows("L7STS with code 2, every server is DOWN, if serve was started without that folder")
            .foretells(&["2"])
            .write(format!(
                "use a file below a folder of serve's --files, or {start}; doctor --run shows if serve can read \
                 the file"
            )),
    )
}

pub(crate) fn up_before_the_first_check(visit: &Visit, watch: &Watch) -> Option<Finding> {
    let known = visit.haproxy.version.is_some() && visit.haproxy.at_least(3, 1);
    if !known || served(watch).is_none() || watch.server.settings.has("init-state") {
        return None;
    }
    let what = "after HAProxy starts, this server is UP until its first check is done";
    Some(
        Finding::hint(what)
            .at(&watch.server.place)
            .shows("until then the server gets traffic, even if it is dead")
            .write("init-state down on the server line"),
    )
}

#[cfg(test)]
mod tests {
    use super::{Files, advice};

    #[test]
    fn the_advice_names_the_unit_only_if_it_is_installed() {
        let mut needs = Files::default();
        assert_eq!(advice(true, &needs), "let systemd listen there:");
        needs.folders.push("/ca".to_owned());
        assert_eq!(advice(false, &needs), "start sni-check serve:");
        assert_eq!(
            advice(true, &needs),
            "add --files /ca to OPTIONS in /etc/default/sni-check, then let systemd listen there:"
        );
    }

    #[test]
    fn the_unit_listens_at_the_known_paths() {
        let unit = include_str!("../../../packaging/systemd/sni-check.socket");
        let lines = unit.lines();
        let listens: Vec<&str> = lines
            .filter_map(|line| line.strip_prefix("ListenStream="))
            .collect();
        assert_eq!(listens, super::OF_UNIT);
    }
}
