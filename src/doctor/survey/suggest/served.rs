//! Suggests changes to an http-check that asks `sni-check serve`.

use strsim::damerau_levenshtein;

use super::{Suggestion, has};
use crate::doctor::visit::Watch;
use crate::haproxy::call::OPTIONS;
use crate::haproxy::config::check::Check;
use crate::haproxy::config::serve::ServeCheck;

fn serve<'a>(watch: &'a Watch) -> Option<&'a ServeCheck<'a>> {
    match &watch.check {
        Check::Serve(serve) => Some(serve),
        _ => None,
    }
}

/// Suggests that HAProxy connect to serve without TLS, because serve speaks no TLS on its socket.
pub(super) fn without_tls(watch: &Watch) -> Option<Suggestion> {
    let mut rules = serve(watch)?.backend.settings.rules.http.all("connect");
    let rule = rules.next()?;
    let present = ["ssl", "sni", "alpn"].into_iter();
    let present = present.filter(|word| has(Some(&rule.value), word));
    has(Some(&rule.value), "ssl").then(|| Suggestion {
        connect: present.map(|word| (word, None)).collect(),
        what: format!(
            "sni-check serve speaks no TLS on its socket, but the `connect` rule has ssl ({}).",
            rule.place
        ),
        ..Suggestion::default()
    })
}

/// The largest edit distance at which a header's name counts as a misspelt `X-Check-Options`.
const TYPOS: usize = 3;

/// Suggests the right name of the header that contains the options, if the check's only request has a header
/// with a similar name.
pub(super) fn misspelt_header(watch: &Watch) -> Option<Suggestion> {
    let serve = serve(watch).filter(|serve| serve.options.is_none())?;
    let mut requests = serve.backend.settings.rules.http.all("send");
    let (request, None) = (requests.next()?, requests.next()) else {
        return None;
    };
    let wanted = OPTIONS.to_ascii_lowercase();
    let is_similar =
        |name: &String| damerau_levenshtein(&name.to_ascii_lowercase(), &wanted) <= TYPOS;
    let mut words = request.value.clone();
    let mut pairs = words.windows(2);
    let at = pairs.position(|pair| pair[0] == "hdr" && is_similar(&pair[1]))? + 1;
    let written = std::mem::replace(&mut words[at], OPTIONS.to_owned());
    Some(Suggestion {
        lines: vec![(&["http-check", "send"], words)],
        what: format!(
            "sni-check serve reads its options from the header {OPTIONS}, but the check sends {written} ({}).",
            request.place
        ),
        ..Suggestion::default()
    })
}
