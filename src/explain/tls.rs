//! Codes 61 to 66: the TLS handshake.

use super::cause::Cause;

/// What accepts the connection is not what answers.
const BACKEND_BEHIND_IS_DOWN: Cause = Cause {
    what: "A proxy, load balancer or port-forward accepts the connection, and its own backend is down.",
    confirm: "Its log says so; so does sni-check diagnose with --connect and the address of what is behind it.",
    change: "Start what is behind it, or correct where it forwards to.",
};

pub(super) const REFUSED: &[Cause] = &[
    Cause {
        what: "The server is broken or wrongly configured: internal_error is often a name without a certificate, or a key it cannot read.",
        confirm: "The line has the alert's name; the server's log has its reason at the same moment.",
        change: "Correct the server's TLS configuration.",
    },
    Cause {
        what: "access_denied or a similar alert: a firewall or WAF in front of the backend refuses this host.",
        confirm: "Connect from another network or from the backend itself.",
        change: "Allow HAProxy's address there.",
    },
    Cause {
        what: "no_application_protocol: the server takes no ALPN protocol of --alpn. Without --alpn none is offered, as by HAProxy's checks.",
        confirm: "Run the check without --alpn; openssl s_client -alpn h2 shows what the server chooses.",
        change: "Leave --alpn out or correct it. For a server that knows h2 alone: --alpn h2 --handshake-only.",
    },
];

pub(super) const TIMEOUT: &[Cause] = &[
    Cause {
        what: "The server waits for something else first: a PROXY header, or another protocol.",
        confirm: "Is send-proxy on the server line? Then the backend wants that header from checks too.",
        change: "--send-proxy or --send-proxy-v2; or correct the port.",
    },
    Cause {
        what: "The server accepts connections but is overloaded or hangs.",
        confirm: "sni-check diagnose: every handshake takes this long, connecting does not.",
        change: "Check the load of the backend.",
    },
    BACKEND_BEHIND_IS_DOWN,
    Cause {
        what: "Large packets are lost on the way (path MTU, a VPN), so the certificates never arrive.",
        confirm: "ping -M do -s 1400 ADDRESS fails while small ones pass.",
        change: "Correct the MTU, or let ICMP pass.",
    },
];

pub(super) const NOT_TLS: &[Cause] = &[
    Cause {
        what: "The port speaks plain HTTP, or another protocol.",
        confirm: "The line shows what the peer says; curl -v http://ADDRESS:PORT/ answers.",
        change: "Correct the port of the server line, or --port.",
    },
    Cause {
        what: "The server speaks TLS only after a PROXY header, and answers anything else with an error page.",
        confirm: "Its configuration says proxy_protocol or accept-proxy.",
        change: "--send-proxy or --send-proxy-v2, as on the server line.",
    },
    Cause {
        what: "A limit of sni-check, which the line then names: more than 64 kB of certificates, an extension nobody asked for, a TLS 1.2 key that is for RSA-PSS alone.",
        confirm: "sni-check diagnose asks HAProxy's own check: it is UP.",
        change: "Check this server with HAProxy's own check-sni, or change what the line names at the backend.",
    },
];

pub(super) const CLOSED: &[Cause] = &[
    Cause {
        what: "The server wants SNI, or another name, and closes the connection instead of saying so.",
        confirm: "sni-check diagnose compares handshakes with the name, without, and with a made-up one.",
        change: "Correct --sni.",
    },
    Cause {
        what: "It waits for a PROXY header, or got one it did not expect.",
        confirm: "Its configuration says proxy_protocol or accept-proxy, or not.",
        change: "Add or remove --send-proxy or --send-proxy-v2, as on the server line.",
    },
    Cause {
        what: "A firewall inspects the handshake and cuts the connection, or the server crashes on it.",
        confirm: "Connect from the backend itself; read its log.",
        change: "Allow the name at the firewall; update the server.",
    },
    BACKEND_BEHIND_IS_DOWN,
];

pub(super) const NAME_REFUSED: &[Cause] = &[
    Cause {
        what: "--sni is not a name the server knows, and it refuses unknown ones (nginx: ssl_reject_handshake).",
        confirm: "Compare sni= in the line with the names of the server's configuration.",
        change: "external-check path \"--sni NAME\" with the right one; in HAProxy's own words, sni str(NAME) and check-sni NAME.",
    },
    Cause {
        what: "No SNI was sent (--no-sni) and the server wants one. HAProxy's own checks without check-sni fail there too, with `SSL handshake failure`.",
        confirm: "The line says no-sni; sni-check diagnose shows both handshakes.",
        change: "Remove --no-sni and add --sni NAME.",
    },
    Cause {
        what: "The name is not set up at the CDN or proxy in front of the backend.",
        confirm: "The address in the line is the CDN's.",
        change: "Add the name there, or put the origin's address on the server line.",
    },
];

pub(super) const NOTHING_IN_COMMON: &[Cause] = &[
    Cause {
        what: "The server speaks only TLS 1.1 or older (protocol_version), which HAProxy does not use either unless told to.",
        confirm: "sni-check diagnose tries TLS 1.2 and 1.3; openssl s_client shows what the server chooses.",
        change: "Enable TLS 1.2 or 1.3 at the backend.",
    },
    Cause {
        what: "A limit of sni-check: the server has only what HAProxy knows and sni-check does not. That is TLS 1.2 with CBC, with DHE or with RSA key exchange; key exchange by X448 or FFDHE alone; Ed448 or SHA-224 signatures.",
        confirm: "sni-check diagnose asks HAProxy's own check: it is UP. sni-check offers TLS 1.3, and TLS 1.2 with ECDHE and AES-GCM or ChaCha20-Poly1305.",
        change: "Check this server with HAProxy's own check-sni; or enable TLS 1.3 or ECDHE with AES-GCM at the backend.",
    },
    Cause {
        what: "The server speaks TLS 1.2 without secure renegotiation (RFC 5746). HAProxy's OpenSSL 3 refuses that, for traffic too.",
        confirm: "openssl s_client says: Secure Renegotiation IS NOT supported.",
        change: "Update the server's TLS library, or enable TLS 1.3.",
    },
    Cause {
        what: "--ssl-min-ver or --ssl-max-ver leaves out what the server speaks.",
        confirm: "Run the check without them.",
        change: "Correct them.",
    },
    Cause {
        what: "handshake_failure: some CDNs answer so to a name they do not know.",
        confirm: "sni-check diagnose with another name of that server gets through.",
        change: "Correct --sni, or add the name at the CDN.",
    },
];
