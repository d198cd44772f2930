//! What `global` says that keeps HAProxy from starting checks.

use super::finding::Finding;
use super::setup::Setup;
use super::shell::shell;
use crate::haproxy::config::Configuration;
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
            .write(format!("add a line to section global: {word}"))
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
    if let Some(chroot) = chroot.filter(|_| !setup.jail.root.is_dir() && !is_empty_chroot(setup)) {
        let what = format!("the folder of `chroot {}` does not exist", chroot.value);
        findings.push(
            Finding::problem("no-chroot", what)
                .at(&chroot.place)
                .about(setup.config.external().map(|backend| backend.name.clone()))
                .shows("HAProxy does not start")
                .paste(shell(["mkdir", "-p", &chroot.value])),
        );
    }
    let backends = || setup.config.external().map(|backend| backend.name.clone());
    if let Some(socket) = &global.admin_socket {
        let what = "servers added at run time over this socket (`add server … check`) cannot have \
                    an external check: HAProxy does not prepare it (2.6 to 3.5)";
        findings.push(
            Finding::note("runtime-servers", what)
                .at(socket)
                .about(backends())
                .shows(
                    "HAProxy crashes (SIGSEGV), or the added server stays DOWN for ever, PROCERR \
                     with code 4294967295",
                )
                .write(
                    "use `add server` without `check`, or add it to a backend with option httpchk",
                ),
        );
    }
    if let Some(chroot) = chroot.filter(|_| is_empty_chroot(setup)) {
        findings.push(
            Finding::problem(
                "chroot-auto",
                "`chroot auto` is an empty folder: no program is in it",
            )
            .at(&chroot.place)
            .about(backends())
            .shows("PROCERR with code 255, every server is DOWN")
            .write(
                "name a chroot with sni-check inside it; or use HAProxy's own check, which needs \
                     no program",
            ),
        );
    }
    findings
}

/// Whether nothing can be in the chroot (`chroot auto`, 3.5 and later).
pub(super) fn is_empty_chroot(setup: Setup) -> bool {
    let chroot = setup.config.global.chroot.as_ref();
    chroot.is_some_and(|chroot| chroot.value == "auto") && setup.haproxy.at_least(3, 5)
}

/// Whether HAProxy forbids itself to fork; the kernel lets root fork all the same.
fn lacks_fork(config: &Configuration, haproxy: &Haproxy) -> bool {
    config.global.insecure_fork.is_none() && haproxy.at_least(2, 2)
}

/// Whether HAProxy can start a check.
pub(super) fn can_fork(setup: Setup) -> bool {
    !lacks_fork(setup.config, setup.haproxy) || setup.jail.user.uid == 0
}
