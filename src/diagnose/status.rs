//! What an HTTP status speaks for, and what to do then.

use super::answers::host;
use super::case::Case;

/// What to do about a status that is not the expected one, and that no other options cure.
pub(super) fn advice(case: Case<'_>, status: u16) -> String {
    let evidence = case.evidence;
    let remedy = evidence.remedy.as_ref();
    let plan = remedy.map_or(case.plan, |remedy| &remedy.plan);
    let uri = plan.request.uri.path();
    let (host, sni) = (host(plan), plan.names.host.as_str());
    let asked_for_certificate = evidence.client_certificate_asked();
    match status {
        // nginx: "No required SSL certificate was sent", or 495 and 496 in its log.
        400 | 495 | 496 if asked_for_certificate && plan.tls.identity.is_none() => {
            "The server wants a client certificate: it asked for one in the handshake and answers \
             requests without it with 400. Give it to the check with --crt FILE, and to traffic with crt \
             FILE on the server line; the server's operator issues it."
                .to_owned()
        }
        400 if asked_for_certificate => "The server refuses our client certificate (400 after the \
                                        handshake asked for one). It has not expired: it comes \
                                        from a CA that the server does not trust. Give another with --crt FILE, \
                                        and crt FILE on the server line."
            .to_owned(),
        403 if asked_for_certificate && plan.tls.identity.is_none() => {
            "The server asked for a client certificate in the handshake, and forbids the page (403) \
             without one: --crt FILE for the check, crt FILE on the server line. Otherwise it forbids \
             this host's address: allow it there."
                .to_owned()
        }
        300..=399 => "The page redirects. Redirects are not followed: check the page it points to if \
                      it is on this server (--uri), or accept the redirect (--expect)."
            .to_owned(),
        401 => "The page wants a login: check a page that needs none (--uri /healthz), or send the \
                credentials with --header @FILE."
            .to_owned(),
        403 => format!(
            "The server forbids {uri} to this host (403): allow HAProxy's address there, or check a page \
             that everybody may see. Visitors that come through HAProxy are refused too."
        ),
        404 | 410 => format!(
            "There is no page {uri} for the host {host} ({status}): correct --uri; if the page exists, \
             the request reached another virtual host: correct --header 'Host: NAME' or the name."
        ),
        405 => format!(
            "The page does not answer the method {} (405): use --method with one that it answers, or \
             another --uri.",
            plan.request.method
        ),
        421 if host != sni => format!(
            "The server does not serve Host {host} on a connection with the SNI name {sni} (421): leave \
             out --header 'Host: …', so that both are the same."
        ),
        421 => format!(
            "The server does not serve {host} at this address (421): correct the name, or the address \
             on the server line."
        ),
        429 => "The server limits how often this host may ask (429): raise inter on the server line \
                (inter 30s), or exempt HAProxy's address from the limit."
            .to_owned(),
        426 => "The server wants another protocol (426), usually HTTP/2, which sni-check does not \
                speak (a limit of sni-check): use HAProxy's own check with check-alpn h2."
            .to_owned(),
        500.. => failing(status),
        _ => format!(
            "The server does not like the request ({status}): compare --method, --uri and --header with \
             a request that it answers, or accept this answer with --expect 'status {status}'."
        ),
    }
}

/// The server itself fails.
fn failing(status: u16) -> String {
    match status {
        502..=504 => format!(
            "{status}: the server is a proxy that cannot reach its own backend. Repair that; visitors \
             get the same answer."
        ),
        _ => format!(
            "{status}: the application is failing. Read its log and repair it; visitors get the same \
             answer."
        ),
    }
}
