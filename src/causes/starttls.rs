//! Protocols that begin in plain text and start TLS later (STARTTLS). sni-check doesn't speak them,
//! but HAProxy has a check for each.

use super::cause::{Cause, Place, Weight, at};
use super::facts::Facts;
use super::tls::all_are_cut;
use crate::code::Code;
use crate::failure::Failure;
use crate::probe::connect::Address;

/// A protocol, and how to recognise it.
struct Protocol {
    name: &'static str,
    /// HAProxy's check for the protocol.
    check: &'static str,
    /// The usual ports on which the protocol begins in plain text.
    ports: &'static [u16],
    /// The beginning of the server's first line. Empty if the client speaks first, or if the line could be
    /// another protocol's.
    greeting: &'static str,
}

const PROTOCOLS: [Protocol; 7] = [
    Protocol {
        name: "PostgreSQL",
        check: "option pgsql-check user USER",
        ports: &[5432],
        greeting: "",
    },
    Protocol {
        name: "MySQL",
        check: "option mysql-check user USER",
        ports: &[3306],
        greeting: "MySQL",
    },
    Protocol {
        name: "LDAP",
        check: "option ldap-check",
        ports: &[389],
        greeting: "",
    },
    Protocol {
        name: "IMAP",
        check: "option tcp-check and tcp-check expect string \"* OK\"",
        ports: &[143],
        greeting: "* ",
    },
    Protocol {
        name: "POP3",
        check: "option tcp-check and tcp-check expect string +OK",
        ports: &[110],
        greeting: "+OK",
    },
    Protocol {
        name: "FTP",
        check: "option tcp-check and tcp-check expect string 220",
        ports: &[21],
        greeting: "",
    },
    Protocol {
        name: "SMTP",
        check: "option smtpchk EHLO NAME",
        ports: &[25, 587],
        greeting: "220",
    },
];

/// Returns the protocol that the server speaks. The port decides. At an unusual port, the server's greeting
/// decides.
fn protocol(facts: &Facts) -> Option<&'static Protocol> {
    let port = match facts.reached {
        Some(Address::Tcp(address)) => address.port(),
        _ => 0,
    };
    let at_port = || {
        PROTOCOLS
            .iter()
            .find(|protocol| protocol.ports.contains(&port))
    };
    match facts.failure()? {
        _ if facts.speaks_plain_http() => None,
        Failure::NotTls { text: Some(text) } => at_port().or_else(|| {
            let mut greeting = PROTOCOLS.iter();
            greeting.find(|known| !known.greeting.is_empty() && text.starts_with(known.greeting))
        }),
        Failure::NotTls { .. } | Failure::HandshakeClosed(_) | Failure::HandshakeTimeout => {
            at_port()
        }
        _ => None,
    }
}

/// Returns the name of the protocol.
pub(super) fn name(facts: &Facts) -> Option<&'static str> {
    Some(protocol(facts)?.name)
}

/// Returns HAProxy's check for the protocol.
pub(super) fn check(facts: &Facts) -> Option<&'static str> {
    Some(protocol(facts)?.check)
}

pub(super) const CAUSES: &[Cause] = &[Cause {
    id: "starttls-protocol",
    shows_as: &[
        at(Code::NotTls, 9),
        at(Code::HandshakeClosed, 12),
        at(Code::HandshakeTimeout, 10),
    ],
    place: Place::Value,
    what: "The server speaks {protocol}. This protocol begins in plain text and starts TLS later, so no TLS handshake can succeed on this port (a limit of sni-check).",
    confirm: "The check's line shows the server's greeting, or the port is a usual port of {protocol}.",
    change: "Use HAProxy's own check: {protocol-check}. Or use a port where TLS starts with the first byte, such as 465 (SMTP), 993 (IMAP), 995 (POP3) or 636 (LDAP), <with --handshake-only|without option httpchk>.",
    weigh: |facts| match (protocol(facts), facts.failure()) {
        (None, _) => Weight::RuledOut,
        (Some(_), Some(Failure::NotTls { text: Some(_) })) => Weight::Proved,
        // Other kinds of servers rarely use this port.
        (Some(_), _) if all_are_cut(facts) => Weight::Proved,
        (Some(_), _) => Weight::Likely,
    },
    ..Cause::BASE
}];
