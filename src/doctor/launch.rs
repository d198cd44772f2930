//! What keeps HAProxy from starting checks at all.

use rustix::process::{Resource, getrlimit};

use crate::haproxy::call::own_command;
use crate::output::mark::Mark;

use super::call::Call;
use super::config::{Backend, Config};
use super::finding::{Finding, Findings};
use super::jail::Jail;
use super::lines::Place;
use super::server::Server;
use crate::haproxy::program::Haproxy;

/// Looks at `global`.
pub(super) fn global(config: &Config, haproxy: &Haproxy, jail: &Jail, findings: &mut Findings) {
    let external = config
        .backends
        .iter()
        .filter(|backend| backend.is_external());
    let about: Vec<String> = external
        .clone()
        .map(|backend| backend.name.clone())
        .collect();
    let mut options = external.filter_map(|backend| backend.set.check.as_ref());
    let Some(option) = options.next() else {
        return;
    };
    let missing = |mark, id, word: &str, shows: &str| Finding {
        mark,
        id,
        place: Some(option.place.clone()),
        about: about.clone(),
        what: format!("`{word}` is missing in section global"),
        shows: shows.to_owned(),
        write: format!("in section global, a line: {word}"),
    };
    if config.global.external_check.is_none() {
        findings.add(missing(
            Mark::Problem,
            "no-external-check",
            "external-check",
            "HAProxy refuses the configuration",
        ));
    }
    if lacks_fork(config, haproxy) {
        let (mark, shows) = match jail.user.uid {
            0 => (
                Mark::Note,
                "works only while HAProxy runs as root; as another user: SOCKERR",
            ),
            _ => (
                Mark::Problem,
                "no check can be started: SOCKERR, every server is DOWN",
            ),
        };
        findings.add(missing(
            mark,
            "no-insecure-fork-wanted",
            "insecure-fork-wanted",
            shows,
        ));
    }
    let chroot = config.global.chroot.as_ref();
    if let Some(chroot) = chroot.filter(|_| !jail.root.is_dir()) {
        findings.add(Finding {
            place: Some(chroot.place.clone()),
            what: format!("the folder of `chroot {}` is not there", chroot.value),
            write: format!("mkdir -p {}", chroot.value),
            ..missing(Mark::Problem, "no-chroot", "", "HAProxy does not start")
        });
    }
}

/// Whether HAProxy forbids itself to fork; the kernel lets root fork all the same.
fn lacks_fork(config: &Config, haproxy: &Haproxy) -> bool {
    config.global.insecure_fork.is_none() && haproxy.at_least(2, 2)
}

/// Whether HAProxy can start a check.
pub(super) fn can_fork(config: &Config, haproxy: &Haproxy, jail: &Jail) -> bool {
    !lacks_fork(config, haproxy) || jail.user.uid == 0
}

/// Looks at the limit on open files, which is what HAProxy closes before it starts a check.
pub(super) fn descriptors(
    config: &Config,
    haproxy: &Haproxy,
    calls: &[Call],
    findings: &mut Findings,
) {
    // Measured: polling and skipping a thousand closed descriptors takes 10 µs.
    const PER_DESCRIPTOR: f64 = 1e-8;
    let Some(shortest) = calls.iter().map(|call| call.limit.time).min() else {
        return;
    };
    let (limit, source) = descriptor_limit(config, haproxy);
    let seconds = limit as f64 * PER_DESCRIPTOR;
    let share = seconds / shortest.as_secs_f64();
    if share < 0.1 {
        return;
    }
    let hopeless = share >= 1.0;
    findings.add(Finding {
        mark: if hopeless { Mark::Problem } else { Mark::Note },
        id: "nofile",
        place: None,
        about: Vec::new(),
        what: format!(
            "HAProxy may open {limit} files ({source}) and closes each possible one before every \
             check, about {seconds:.1} s"
        ),
        shows: match hopeless {
            true => format!("PROCTOUT at {shortest:?} for every check, whatever the backend does"),
            false => format!("less of the {shortest:?} is left for the check itself"),
        },
        write:
            "fd-hard-limit 100000 in global (2.6 and later), or a lower nofile limit of the unit \
                or container"
                .to_owned(),
    });
}

/// The limit HAProxy would run with, and where it comes from.
fn descriptor_limit(config: &Config, haproxy: &Haproxy) -> (u64, &'static str) {
    let global = &config.global;
    if let Some(limit) = global.ulimit_n {
        return (limit, "ulimit-n");
    }
    if let Some(connections) = global.maxconn {
        // Two for each connection, and a few for listeners and checks.
        return (connections.saturating_mul(2) + 100, "from maxconn");
    }
    let hard = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
    let capped = global.fd_hard_limit;
    // The default since 3.1; older HAProxy takes all there is.
    let usual = haproxy.at_least(3, 1).then_some(1 << 20);
    match capped.or(usual) {
        Some(cap) if cap < hard => (cap, "fd-hard-limit"),
        _ => (hard, "the hard limit of this process, as an estimate"),
    }
}

/// Looks at what a backend says of its checks as a whole.
pub(super) fn backend(backend: &Backend, findings: &mut Findings) {
    if backend.set.disabled {
        return;
    }
    if !backend.is_external() {
        return without_option(backend, findings);
    }
    if backend.set.command.is_none() {
        let option = backend.set.check.as_ref().map(|check| &check.place);
        findings.add(Finding {
            id: "no-command",
            what: "option external-check without `external-check command`".to_owned(),
            shows: "HAProxy refuses the configuration".to_owned(),
            write: format!("external-check command {}", own_command()),
            ..problem(backend, option.unwrap_or(&backend.place))
        });
    }
    unchecked(backend, findings);
}

fn problem(backend: &Backend, place: &Place) -> Finding {
    Finding {
        mark: Mark::Problem,
        id: "",
        place: Some(place.clone()),
        about: vec![backend.name.clone()],
        what: String::new(),
        shows: String::new(),
        write: String::new(),
    }
}

fn without_option(backend: &Backend, findings: &mut Findings) {
    let set = &backend.set;
    // What comes from defaults is for the backends that have the option.
    let own = set
        .command
        .as_ref()
        .or(set.path.as_ref())
        .filter(|setting| {
            setting.place.file == backend.place.file && setting.place.line > backend.place.line
        });
    let Some(setting) = own else {
        return;
    };
    let kind = set.check.as_ref();
    let kind = kind.map_or("a mere TCP connection", |check| check.value.as_str());
    findings.add(Finding {
        id: "no-option",
        what: "external-check is set, but without `option external-check` HAProxy ignores it"
            .to_owned(),
        shows: format!("the check is {kind}, which knows neither these options nor this command"),
        write: "option external-check, after any other option that sets a check".to_owned(),
        ..problem(backend, &setting.place)
    });
}

fn unchecked(backend: &Backend, findings: &mut Findings) {
    let without =
        |server: &&Server| server.settings.check.is_none() && server.settings.track.is_none();
    let servers: Vec<&Server> = backend.servers.iter().filter(without).collect();
    let all = servers.len() == backend.servers.len();
    if let Some(first) = servers.first().filter(|_| all) {
        findings.add(Finding {
            id: "nothing-checked",
            what: "no server of this backend has `check`: nothing is checked".to_owned(),
            shows: "no check; a dead server keeps getting its share of the traffic".to_owned(),
            write: "check at the end of the server line, or in default-server above it".to_owned(),
            ..problem(backend, &first.place)
        });
        return;
    }
    for server in servers {
        findings.add(Finding {
            mark: Mark::Note,
            id: "not-checked",
            about: vec![format!("{}/{}", backend.name, server.name)],
            what: "this server has no `check`".to_owned(),
            shows: "no check; traffic goes to it whatever its state".to_owned(),
            write: "check at the end of its line".to_owned(),
            ..problem(backend, &server.place)
        });
    }
}
