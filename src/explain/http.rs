//! Codes 71 to 76: the HTTP response.

use super::cause::Cause;

/// The User-Agent of a check. Some firewalls refuse it and let curl's own through.
macro_rules! user_agent {
    () => {
        concat!("sni-check/", env!("CARGO_PKG_VERSION"))
    };
}

/// curl that sends the same request as the check.
macro_rules! curl {
    () => {
        concat!("curl --user-agent ", user_agent!())
    };
}

pub(super) const STATUS: &[Cause] = &[
    Cause {
        what: "5xx: the application is failing. This is what the check is for.",
        confirm: "Read the backend's log.",
        change: "Repair it.",
    },
    Cause {
        what: "404 or 421: the request reached a different virtual host.",
        confirm: "sni-check diagnose shows whether Host matters; compare --uri with what the application serves.",
        change: "--header 'Host: NAME' where it differs from the SNI name; correct --uri.",
    },
    Cause {
        what: "400: the server does not take our client certificate (nginx says so with 400: none was sent, it has expired, or its CA is not trusted), or not our Host.",
        confirm: "curl with --cert and the same page shows why: `The SSL certificate error`, `No required SSL certificate was sent`; so does the server's log.",
        change: "--crt FILE with a valid certificate whose CA the server trusts; or --header 'Host: NAME'.",
    },
    Cause {
        what: "401 or 403: the page wants a login, or refuses this host.",
        confirm: concat!("Request it from this host: ", curl!(), " URL"),
        change: "Check a page that needs no login (--uri /healthz), send the credentials with --header @FILE, or accept the answer with --expect 'status 401'.",
    },
    Cause {
        what: concat!(
            "403, or another: a firewall (WAF) refuses the User-Agent. The check sends ",
            user_agent!(),
            ", HAProxy's own check none."
        ),
        confirm: concat!(
            curl!(),
            " URL gets the same answer; curl with its own User-Agent another."
        ),
        change: "--header 'User-Agent: NAME' with one that it lets through, or let this one through.",
    },
    Cause {
        what: "A redirect where --expect wants 200. Redirects are not followed.",
        confirm: "The line shows where it points.",
        change: "Set --uri to the page it points to if that is on the same host; otherwise accept the redirect with --expect 'status 200,301'.",
    },
];

/// The cause that a status speaks for.
pub(super) fn of_status(status: u16) -> &'static Cause {
    match status {
        404 | 421 => &STATUS[1],
        400 => &STATUS[2],
        401 | 403 => &STATUS[3],
        300..=399 => &STATUS[5],
        _ => &STATUS[0],
    }
}

pub(super) const TIMEOUT: &[Cause] = &[
    Cause {
        what: "The application is slow or hangs; the handshake was fast.",
        confirm: "Compare tls and response in the line; read the backend's log.",
        change: "Repair it, or check a cheaper page.",
    },
    Cause {
        what: "--timeout is shorter than the page takes.",
        confirm: "Run the check by hand with --timeout 10s.",
        change: "Raise --timeout and, above it, inter and timeout connect.",
    },
    Cause {
        what: "The page never ends (it is a stream), and an expectation reads its body.",
        confirm: "The line says `within its body`.",
        change: "Check another page, or expect only a status.",
    },
];

pub(super) const NOT_HTTP: &[Cause] = &[
    Cause {
        what: "The port speaks another protocol over TLS (SMTPS, a database), or only HTTP/2.",
        confirm: "sni-check diagnose shows what ALPN chose; openssl s_client shows a greeting.",
        change: "Correct the port; let the server speak HTTP/1.1 too.",
    },
    Cause {
        what: "The response's header section is broken or too large.",
        confirm: "curl -v --http1.1 shows it; the line says what is wrong with it.",
        change: "Repair the application; check a page that sets fewer cookies.",
    },
    Cause {
        what: "The response's head is longer than HAProxy takes by default (tune.bufsize, tune.http.maxhdr): its traffic gets 502.",
        confirm: "The line names the limit.",
        change: "Set fewer cookies, or raise the limit in HAProxy and --max-head here.",
    },
    Cause {
        what: "A Transfer-Encoding other than chunked, which HAProxy refuses as well.",
        confirm: "The line names it.",
        change: "Use Content-Encoding in the application.",
    },
];

pub(super) const CLOSED: &[Cause] = &[
    Cause {
        what: "The application, or the proxy in front of it, crashed or restarted during the response.",
        confirm: "Read the backend's log for that moment.",
        change: "Repair it.",
    },
    Cause {
        what: "The server wants a client certificate and closes without saying so.",
        confirm: "The line notes that the server asked for one.",
        change: "--crt FILE, and crt FILE on the server line.",
    },
    Cause {
        what: "The server refuses the request (method, size, rate limit) by hanging up.",
        confirm: "Try --method GET --uri / without other headers.",
        change: "Change the request, or the server's limit.",
    },
    Cause {
        what: "The server ends TLS without close_notify: nobody can say whether the body is complete.",
        confirm: "The body has no Content-Length, and --expect '! …' or a text that was not found needs its end.",
        change: "Let the server send close_notify or Content-Length, or expect a text that is there.",
    },
];

pub(super) const BODY: &[Cause] = &[
    Cause {
        what: "The application reports a problem in the body, with a good status.",
        confirm: concat!("Request the page and read it: ", curl!(), " URL"),
        change: "Fix what it reports.",
    },
    Cause {
        what: "Another site answered, or a login, captive or maintenance page.",
        confirm: concat!(
            "Request the page and read it: ",
            curl!(),
            " URL; sni-check diagnose shows Server and whether Host matters."
        ),
        change: "--header 'Host: NAME', or correct --uri or the server line's address.",
    },
    Cause {
        what: "The pattern does not match the page: upper or lower case, line ends, compression, another language.",
        confirm: concat!(
            "Request the page (",
            curl!(),
            " URL) and compare it with --expect letter by letter."
        ),
        change: "Correct --expect.",
    },
    Cause {
        what: "The response has no body (204, a redirect): no rule about a body is met then, negated or not.",
        confirm: "The line says `no response body`.",
        change: "Check a page that has one, or expect only a status.",
    },
    Cause {
        what: "The regular expression needs more time or memory than there is.",
        confirm: "The line says `limit of sni-check`.",
        change: "Simplify it: [\\s\\S]* for (.|\\n)*, a text in place of nested repetitions.",
    },
    Cause {
        what: "The text comes later than --max-body reads (64k by default).",
        confirm: "The line says that only the first bytes were read.",
        change: "Raise --max-body, or check a smaller page.",
    },
];

pub(super) const HEADER: &[Cause] = &[
    Cause {
        what: "Another virtual host, or a proxy before the backend, answered.",
        confirm: "sni-check diagnose shows Server and whether Host matters.",
        change: "--header 'Host: NAME', or correct the server line's address.",
    },
    Cause {
        what: "The pattern does not match: hdr compares each comma-separated element, fhdr the whole value; both compare exactly unless -m says otherwise.",
        confirm: concat!(
            "Request the page (",
            curl!(),
            " --include URL) and compare its header with --expect."
        ),
        change: "Correct --expect, for example 'hdr name Via value -m sub cache'.",
    },
];

#[cfg(test)]
mod tests {
    use super::of_status;

    #[test]
    fn a_status_is_told_the_cause_that_names_it() {
        for (status, start) in [
            (400, "400: "),
            (404, "404 or 421: "),
            (421, "404 or 421: "),
            (401, "401 or 403: "),
            (403, "401 or 403: "),
            (301, "A redirect "),
            (503, "5xx: "),
        ] {
            let what = of_status(status).what;
            assert!(what.starts_with(start), "{status}: {what}");
        }
    }
}
