//! What keeps `sni-check serve` from checking the servers of a backend.

use crate::plan::Plan;
use crate::serve::request::OPTIONS;

use super::finding::Finding;
use super::served::Served;
use super::served_files;
use super::setup::Setup;
use super::socket;
use crate::haproxy::config::server_line::Server;

/// Looks at the backend and its servers.
pub(super) fn look(served: &Served, setup: Setup) -> Vec<Finding> {
    let mut findings: Vec<Finding> = [
        without_state(served),
        without_options(served),
        socket::look(served, setup),
    ]
    .into_iter()
    .flatten()
    .map(|finding| finding.about([served.backend.name.clone()]))
    .collect();
    for server in served.backend.checked() {
        let mut found = judge(served, server, setup);
        found.extend(up_before_the_first_check(server, setup));
        let about = |finding: Finding| finding.about([served.caller(server).to_string()]);
        findings.extend(found.into_iter().map(about));
    }
    findings
}

fn without_state(served: &Served) -> Option<Finding> {
    let what = "`http-check send-state` is missing: sni-check serve is not told which server";
    let finding = Finding::problem("serve-state", what).at(served.place());
    let finding = finding.shows("L7STS with code 2, every server is DOWN");
    (!served.has_state).then(|| finding.write("http-check send-state"))
}

fn without_options(served: &Served) -> Option<Finding> {
    let what = format!("the header {OPTIONS} is missing: sni-check serve refuses the request");
    let finding = Finding::problem("serve-options", what).at(served.place());
    let finding = finding.shows("L7STS with code 2, every server is DOWN");
    let write = format!("http-check send meth GET uri / hdr {OPTIONS} \"--sni NAME\"");
    served.options.is_none().then(|| finding.write(write))
}

/// What `sni-check serve` would make of the options.
fn judge(served: &Served, server: &Server, setup: Setup) -> Vec<Finding> {
    let Some(options) = &served.options else {
        return Vec::new();
    };
    // Part of a log-format is only known when it is sent.
    if options.value.contains("%[") {
        return Vec::new();
    }
    let findings = match served.plan(server, &options.value) {
        Ok(plan) => {
            let mut findings = served_files::look(served, server, setup);
            findings.extend(late(served, server, &plan));
            findings
        }
        Err(error) => vec![Served::refused(&error)],
    };
    let here = |finding: Finding| finding.at(&options.place);
    findings.into_iter().map(here).collect()
}

/// The answer has to come before HAProxy stops waiting.
fn late(served: &Served, server: &Server, plan: &Plan) -> Option<Finding> {
    let limit = served.limit(server);
    if plan.timeout < limit {
        return None;
    }
    let (own, limit) = (plan.timeout.as_millis(), limit.as_millis());
    let what = format!("--timeout is {own}ms, but HAProxy waits {limit}ms for the answer");
    Some(
        Finding::note("time", what)
            .shows(format!(
                "L7TOUT without a cause where the backend takes longer than {limit}ms"
            ))
            .write(format!(
                "timeout check {}ms, or a shorter --timeout",
                own + own.div_ceil(10)
            )),
    )
}

fn up_before_the_first_check(server: &Server, setup: Setup) -> Option<Finding> {
    let known = setup.haproxy.version.is_some() && setup.haproxy.at_least(3, 1);
    if !known || server.settings.has("init-state") {
        return None;
    }
    let what = "after a start this server is UP until its first check has ended";
    Some(
        Finding::note("serve-init-state", what)
            .at(&server.place)
            .shows("traffic goes to it for that moment, dead or not")
            .write("init-state down on the server line"),
    )
}
