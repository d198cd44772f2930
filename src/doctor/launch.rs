//! What `global` says that keeps HAProxy from starting checks.

use super::config::Config;
use super::finding::Finding;
use super::setup::Setup;
use crate::haproxy::program::Haproxy;

/// Looks at `global`.
pub(super) fn look(setup: Setup) -> Vec<Finding> {
    let global = &setup.config.global;
    let options = setup.config.external();
    let Some(option) = options
        .filter_map(|backend| backend.settings.check.as_ref())
        .next()
    else {
        return Vec::new();
    };
    let missing = |finding: fn(&'static str, String) -> Finding, id, word: &str| {
        finding(id, format!("`{word}` is missing in section global"))
            .at(&option.place)
            .about(setup.config.external().map(|backend| backend.name.clone()))
            .write(format!("in section global, a line: {word}"))
    };
    let mut findings = Vec::new();
    if global.external_check.is_none() {
        let finding = missing(Finding::problem, "no-external-check", "external-check");
        findings.push(finding.shows("HAProxy refuses the configuration"));
    }
    if lacks_fork(setup.config, setup.haproxy) {
        let (id, word) = ("no-insecure-fork-wanted", "insecure-fork-wanted");
        findings.push(match setup.jail.user.uid {
            0 => missing(Finding::note, id, word)
                .shows("works only while HAProxy runs as root; as another user: SOCKERR"),
            _ => missing(Finding::problem, id, word)
                .shows("no check can be started: SOCKERR, every server is DOWN"),
        });
    }
    let chroot = global.chroot.as_ref();
    if let Some(chroot) = chroot.filter(|_| !setup.jail.root.is_dir()) {
        let what = format!("the folder of `chroot {}` does not exist", chroot.value);
        findings.push(
            Finding::problem("no-chroot", what)
                .at(&chroot.place)
                .about(setup.config.external().map(|backend| backend.name.clone()))
                .shows("HAProxy does not start")
                .write(format!("mkdir -p {}", chroot.value)),
        );
    }
    findings
}

/// Whether HAProxy forbids itself to fork; the kernel lets root fork all the same.
fn lacks_fork(config: &Config, haproxy: &Haproxy) -> bool {
    config.global.insecure_fork.is_none() && haproxy.at_least(2, 2)
}

/// Whether HAProxy can start a check.
pub(super) fn can_fork(setup: Setup) -> bool {
    !lacks_fork(setup.config, setup.haproxy) || setup.jail.user.uid == 0
}
