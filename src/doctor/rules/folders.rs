//! Finds missing folders in which HAProxy makes files when it starts. `haproxy -c` makes no files, so it
//! doesn't report these folders.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use crate::doctor::finding::{Effect, Finding};
use crate::doctor::shell::shell;
use crate::doctor::visit::Visit;
use crate::haproxy::config::address::Endpoint;
use crate::haproxy::config::place::Place;

/// A file that HAProxy makes when it starts, before it enters its chroot.
struct Made<'a> {
    /// The words that name the file in haproxy.cfg: `stats socket`, `bind` or `pidfile`.
    word: &'static str,
    path: String,
    place: &'a Place,
}

/// Finds a unix socket on which HAProxy listens, or a `pidfile`, in a folder that doesn't exist.
pub(crate) fn missing(visit: &Visit) -> Vec<Finding> {
    let (global, facts) = (&visit.config.global, &visit.config.facts);
    let socket = |address: &str, prefix: &str| match Endpoint::parse(address) {
        Endpoint::Unix(path) => Some(format!("{prefix}{path}")),
        _ => None,
    };
    let stats = global.stats_sockets.iter().filter_map(|at| {
        let path = socket(&at.value, "")?;
        Some(("stats socket", path, &at.place))
    });
    let binds = facts.binds.iter().filter_map(|bind| {
        let path = socket(&bind.address.value, &facts.unix_prefix)?;
        Some(("bind", path, &bind.address.place))
    });
    let pidfile = global.pidfile.iter();
    let pidfile = pidfile.map(|at| ("pidfile", at.value.clone(), &at.place));
    let made = stats.chain(binds).chain(pidfile);
    let made = made.map(|(word, path, place)| Made { word, path, place });
    made.filter_map(|made| without_folder(visit, &made))
        .collect()
}

/// Reports a file whose folder doesn't exist. For a folder below /run, this is only a note if the host uses
/// systemd or if `--root` is set, because systemd may make the folder when it starts HAProxy.
fn without_folder(visit: &Visit, made: &Made) -> Option<Finding> {
    let Made { word, path, place } = made;
    let (folder, _) = path.strip_prefix('/')?.rsplit_once('/')?;
    // If doctor's user has no access to the path, doctor doesn't know whether the folder is missing.
    let is_missing = match fs::metadata(visit.jail.base.join(folder)) {
        Ok(found) => !found.is_dir(),
        Err(error) => error.kind() == ErrorKind::NotFound,
    };
    if !is_missing {
        return None;
    }
    let what = format!("the folder of `{word} {path}` does not exist");
    let is_of_run = ["run/", "var/run/"]
        .iter()
        .any(|run| folder.starts_with(run));
    let has_systemd = || Path::new("/run/systemd/system").is_dir();
    let finding = if *word == "pidfile" {
        Finding::note(Effect::NoStart, what).shows(
            "HAProxy does not start as a daemon (-D) or with a master process (-W), unless its option -p names \
             another file: Cannot create pidfile; haproxy -c does not report this",
        )
    } else if is_of_run && (visit.call.root.is_some() || has_systemd()) {
        Finding::note(Effect::NoStart, what).shows(
            "HAProxy does not start unless something creates the folder first: cannot bind UNIX socket; haproxy -c \
             does not report this",
        )
    } else {
        Finding::problem(Effect::NoStart, what).shows(
            "HAProxy does not start: cannot bind UNIX socket; haproxy -c does not report this",
        )
    };
    let write = match is_of_run {
        true => {
            "make the folder each time before HAProxy starts, for example with RuntimeDirectory= in its unit:"
        }
        false => "make the folder:",
    };
    let folder = visit.jail.base.join(folder);
    let paste = shell(["mkdir", "-p", &folder.to_string_lossy()]);
    Some(finding.at(place).write(write).paste(paste))
}
