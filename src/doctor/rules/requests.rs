//! Combines all findings about a check's request into one `http-check send` line. HAProxy refuses a second
//! such line, so this line must contain the changes of every finding.

use crate::haproxy::config::http_check::Request;

use crate::doctor::finding::Finding;
use crate::doctor::visit::{Visit, own_check};

/// Gives all findings about the request of a backend's check the same line to write. This line contains the
/// changes of all these findings.
pub(crate) fn combine(findings: &mut [Finding], visit: &Visit) {
    for backend in visit.backends() {
        let is_here = |found: &&mut Finding| found.is_within(&backend.name);
        let found = findings.iter_mut().filter(is_here);
        let mut found: Vec<&mut Finding> = found.filter(|found| found.request.is_some()).collect();
        let requests = found.iter().filter_map(|found| found.request.clone());
        let requests: Vec<Request> = requests.collect();
        let is_one = requests.windows(2).all(|two| two[0] == two[1]);
        if is_one {
            continue;
        }
        let sent = backend.settings.rules.sent();
        let whole = requests.iter().fold(sent.clone(), |whole, request| {
            whole.with_changes(&sent, request)
        });
        for found in &mut found {
            found.write = own_check::sending(backend, &whole);
            found.request = Some(whole.clone());
        }
    }
}
