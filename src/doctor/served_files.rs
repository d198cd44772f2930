//! The files that a request to `sni-check serve` names: serve opens them, outside of HAProxy's chroot
//! and as its own user.

use crate::options::Options;
use crate::plan::Files;
use crate::serve::request::OPTIONS;

use super::ended;
use super::finding::Finding;
use super::served::Served;
use super::setup::Setup;
use super::shell::shell;
use super::socket;
use crate::haproxy::config::server_line::Server;

/// What HAProxy shows of a check by serve that fails.
const STATUS: &str = "L7STS";

/// Looks at the files of options that are good otherwise.
pub(super) fn look(served: &Served, server: &Server, setup: Setup) -> Vec<Finding> {
    let Some(options) = served.read() else {
        return Vec::new();
    };
    let folders = socket::folders(std::slice::from_ref(&options));
    // A run tells it, and what starts serve has it.
    let is_open = setup.run || folders.is_empty() || socket::look(served, setup).is_some();
    let mut findings = Vec::new();
    if !is_open {
        findings.push(only_below(&options, &folders));
    }
    match unreadable(&options) {
        Some(finding) => findings.push(finding),
        None => match served.plan_of(server, &options) {
            Ok(plan) => findings.extend(ended::look(&plan, &options, STATUS)),
            Err(error) => findings.push(Served::refused(&error)),
        },
    }
    findings
}

/// Which files serve may read is on its own command line.
fn only_below(options: &Options, folders: &[String]) -> Finding {
    let files: Vec<&str> = options.files().map(|(_, file)| file).collect();
    let wanted = socket::files_options(folders);
    let wanted = shell(wanted.iter().map(String::as_str));
    let what = format!(
        "{OPTIONS} names {}, which sni-check serve reads only if it was started with {wanted}",
        files.join(", ")
    );
    Finding::note("serve-files", what)
        .shows("L7STS with code 2, every server is DOWN, if it was started without")
        .write(format!(
            "start it with {wanted}, unless it was; doctor --run tells"
        ))
}

/// A file that serve cannot read either, where it runs on this host.
fn unreadable(options: &Options) -> Option<Finding> {
    let files = Files::any();
    let mut given = options.files();
    given.find_map(|(option, file)| {
        let error = files.open(&format!("{option} {file}"), file).err()?;
        let refusal = error.downcast::<crate::refusal::Refusal>().ok()?;
        let what = format!("{OPTIONS}: {} {}", refusal.subject, refusal.what);
        Some(
            Finding::note("serve-file", what)
                .shows("L7STS with code 2 (DOWN), unless sni-check serve runs elsewhere and has it")
                .write("name a file that the user of sni-check serve may read"),
        )
    })
}
