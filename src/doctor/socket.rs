//! The socket of `sni-check serve`: whether HAProxy can connect to it, and how to make it so.

use std::path::Path;

use crate::haproxy::call::own_command;
use crate::options::Options;

use super::finding::Finding;
use super::jail::{Need, Obstacle};
use super::served::Served;
use super::setup::Setup;
use super::shell::shell;

/// Where the Debian package's `sni-check.socket` listens.
const OF_UNIT: [&str; 2] = [
    "/run/sni-check/socket",
    "/var/lib/haproxy/run/sni-check/socket",
];

/// Where systemd looks for units.
const UNITS: [&str; 3] = [
    "/etc/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];

const ENABLE: &str = "systemctl enable --now sni-check.socket";

/// Looks for the socket as HAProxy's user finds it.
pub(super) fn look(served: &Served, setup: Setup) -> Option<Finding> {
    let Some(connect) = &served.connect else {
        let what = "`http-check connect addr` is missing: the check asks the server itself, not \
                    sni-check serve";
        return Some(
            Finding::problem("serve-connect", what)
                .at(served.place())
                .shows("L7STS or L6RSP (DOWN), or UP by what the server answers to GET /")
                .write(
                    "http-check connect addr unix@/run/sni-check/socket, before http-check send",
                ),
        );
    };
    let jail = setup.jail;
    let path = served.socket()?;
    let root = jail.root.display().to_string();
    let outside = jail.outside(path);
    let problem = |what: String| {
        Finding::problem("serve-socket", what)
            .at(&connect.place)
            .shows("SOCKERR, every server is DOWN")
    };
    let finding = match jail.find(path, Need::Connect).err()? {
        Obstacle::Missing => {
            let what = match jail.is_chroot() {
                true => format!("the socket {path} is not in the chroot {root}"),
                false => format!("the socket {path} is not there"),
            };
            start(problem(what), served, setup, &outside)
        }
        Obstacle::NotRegular => problem(format!("{outside} is not a socket"))
            .write("move it away, or name another path here; then start sni-check serve there:")
            .paste(serve(served, setup, &outside)),
        Obstacle::Forbidden(at) => forbidden(setup, path, &outside, &at, problem),
        Obstacle::Hidden(_) => return None,
    };
    Some(finding)
}

/// The folders of the files that these options name, each once, for `--files`.
pub(super) fn folders(options: &[Options]) -> Vec<String> {
    let mut folders: Vec<String> = Vec::new();
    for (_, file) in options.iter().flat_map(Options::files) {
        let folder = Path::new(file).parent();
        let folder = folder.filter(|folder| folder.is_absolute());
        let folder = folder.map(|folder| folder.display().to_string());
        folders.extend(folder.filter(|folder| !folders.contains(folder)));
    }
    folders
}

/// The folders of all backends that ask this socket.
fn all_folders(served: &Served, setup: Setup) -> Vec<String> {
    let backends = setup.config.backends.iter();
    let others = backends.filter_map(Served::of);
    let same = others.filter(|other| other.socket() == served.socket());
    folders(&same.filter_map(|other| other.read()).collect::<Vec<_>>())
}

/// `--files FOLDER`, for each of the folders.
pub(super) fn files_options(folders: &[String]) -> Vec<String> {
    let pair = |folder: &String| ["--files".to_owned(), folder.clone()];
    folders.iter().flat_map(pair).collect()
}

/// How to start `sni-check serve` where nothing is yet.
fn start(finding: Finding, served: &Served, setup: Setup, outside: &str) -> Finding {
    let listens = OF_UNIT.contains(&outside);
    let is_there = |folder: &str| Path::new(folder).join("sni-check.socket").exists();
    let has_unit = listens && UNITS.iter().any(|folder| is_there(folder));
    let files = files_options(&all_folders(served, setup));
    let files = shell(files.iter().map(String::as_str));
    let finding = finding.write(advice(listens, has_unit, &files));
    match has_unit {
        true => finding.paste(ENABLE),
        false => finding.paste(serve(served, setup, outside)),
    }
}

/// What to do, before the command that does it: whether the package's unit listens there, whether it
/// is installed, and the `--files` that it needs.
fn advice(listens: bool, has_unit: bool, files: &str) -> String {
    let add_files = match files {
        "" => String::new(),
        files => format!("add {files} to OPTIONS in /etc/default/sni-check, then "),
    };
    match (listens, has_unit) {
        (false, _) => "start sni-check serve:".to_owned(),
        (true, true) => format!("{add_files}let systemd listen there:"),
        (true, false) => {
            format!("start sni-check serve (with the Debian package: {add_files}{ENABLE}):")
        }
    }
}

/// The call of `sni-check serve` that HAProxy can ask with these options.
fn serve(served: &Served, setup: Setup, outside: &str) -> String {
    let mut words = vec![
        own_command(),
        "serve".to_owned(),
        "--listen".to_owned(),
        format!("unix:{outside}"),
    ];
    if setup.jail.user.uid != 0 {
        words.extend(["--group".to_owned(), group(setup)]);
    }
    words.extend(files_options(&all_folders(served, setup)));
    let serve = shell(words.iter().map(String::as_str));
    let folder = Path::new(outside).parent();
    let missing = folder.filter(|folder| !folder.exists());
    match missing.map(|folder| folder.display().to_string()) {
        Some(folder) => {
            format!("{} && {serve}", shell(["install", "-d", &folder]))
        }
        None => serve,
    }
}

/// HAProxy's group, by name where haproxy.cfg has it.
fn group(setup: Setup) -> String {
    let group = setup.config.global.group.as_ref();
    group.map_or_else(|| setup.jail.user.gid.to_string(), |at| at.value.clone())
}

fn forbidden(
    setup: Setup,
    path: &str,
    outside: &str,
    at: &Path,
    problem: impl Fn(String) -> Finding,
) -> Finding {
    let (user, obstacle) = (&setup.jail.user.name, at.display().to_string());
    let what = format!("user {user} may not connect to {path}: see the mode of {obstacle}");
    if obstacle != outside {
        return problem(what)
            .write("let it enter that folder:")
            .paste(shell(["chmod", "a+x", &obstacle]));
    }
    let group = group(setup);
    problem(what)
        .write(format!(
            "give the socket HAProxy's group; so that it stays so, start sni-check serve with \
             --group {group} and without --mode:"
        ))
        .paste(format!(
            "{} && {}",
            shell(["chgrp", &group, outside]),
            shell(["chmod", "660", outside])
        ))
}

#[cfg(test)]
mod tests {
    use super::advice;

    #[test]
    fn the_package_s_unit_is_named_where_it_listens() {
        let with_files = "add --files /ca to OPTIONS in /etc/default/sni-check, then ";
        for (listens, has_unit, files, expected) in [
            (
                false,
                false,
                "--files /ca",
                "start sni-check serve:".to_owned(),
            ),
            (true, true, "", "let systemd listen there:".to_owned()),
            (
                true,
                true,
                "--files /ca",
                format!("{with_files}let systemd listen there:"),
            ),
        ] {
            assert_eq!(advice(listens, has_unit, files), expected);
        }
        let by_hand = advice(true, false, "--files /ca");
        let package = format!("{with_files}systemctl enable --now sni-check.socket");
        assert!(by_hand.contains(&package), "{by_hand}");
    }

    #[test]
    fn the_unit_listens_where_it_is_said_to() {
        let unit = include_str!("../../packaging/systemd/sni-check.socket");
        let lines = unit.lines();
        let listens: Vec<&str> = lines
            .filter_map(|line| line.strip_prefix("ListenStream="))
            .collect();
        assert_eq!(listens, super::OF_UNIT);
    }
}
