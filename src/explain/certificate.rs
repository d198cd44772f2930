//! Codes 51 to 58: the certificates.

use super::cause::Cause;

/// The file is new, what the server sends is not.
const NOT_RELOADED: Cause = Cause {
    what: "It was renewed but the server still holds the old one.",
    confirm: "Compare the file at the backend (openssl x509 -enddate -in FILE) with what the server sends.",
    change: "Reload the server, and make the renewal do that from now on.",
};

pub(super) const EXPIRED: &[Cause] = &[
    Cause {
        what: "The certificate was not renewed.",
        confirm: "sni-check diagnose shows the end of each certificate of the chain.",
        change: "Renew it at the backend. Nothing in haproxy.cfg fixes this. `verify none` only hides it, also for visitors' traffic.",
    },
    NOT_RELOADED,
    Cause {
        what: "An intermediate certificate has expired, not the server's own; or this host's clock is ahead.",
        confirm: "The line names the expired certificate; `date` shows the clock.",
        change: "Install the current chain at the backend; set the clock.",
    },
];

pub(super) const NOT_YET_VALID: &[Cause] = &[
    Cause {
        what: "This host's clock is behind.",
        confirm: "date -u",
        change: "Set the clock and keep it set (NTP).",
    },
    Cause {
        what: "The certificate was made for a later date, or by a host whose clock is ahead.",
        confirm: "sni-check diagnose shows when each certificate starts.",
        change: "Install the certificate that is valid now.",
    },
];

pub(super) const OTHER_NAME: &[Cause] = &[
    Cause {
        what: "--sni is not the name this backend serves, so it sent its default certificate.",
        confirm: "The line lists the names the certificate is for; the right one is often among them.",
        change: "Correct --sni (and sni, check-sni on the server line).",
    },
    Cause {
        what: "The certificate was issued without this name. A wildcard covers one label only: *.example.com is not for a.b.example.com.",
        confirm: "sni-check diagnose shows all its names.",
        change: "Have it issued with this name.",
    },
    Cause {
        what: "The certificate has the name in another form: as an IP address, a mail address or a URI. HAProxy compares DNS names and the common name only.",
        confirm: "The line says so; sni-check diagnose shows all its names.",
        change: "Have it issued with the name as a DNS name.",
    },
];

pub(super) const ISSUER_UNKNOWN: &[Cause] = &[
    Cause {
        what: "The backend does not send its intermediate certificate. Browsers fetch it themselves, which hides the problem.",
        confirm: "sni-check diagnose shows the chain as sent and which issuer is missing.",
        change: "Install the full chain at the backend (fullchain.pem).",
    },
    Cause {
        what: "A private CA issued it.",
        confirm: "The line names the issuer; it is your company's.",
        change: "--ca-file FILE with that CA (inside the chroot), and ca-file FILE on the server line. After a change of the file, reload HAProxy too: it reads files only when it starts.",
    },
    Cause {
        what: "--ca-file has an intermediate, or the server's certificate, but not the root above it. HAProxy wants the chain up to a root.",
        confirm: "The line names the certificate in the file and the issuer that is missing.",
        change: "Add the root's certificate to the file. Reload HAProxy too: it reads files only when it starts.",
    },
    Cause {
        what: "It is self-signed: the server's default certificate, or the default host answered for this name.",
        confirm: "The line says self-signed.",
        change: "Install a real certificate, or trust this very one with --ca-file FILE.",
    },
    Cause {
        what: "A proxy in between decrypts TLS and signs with its own CA.",
        confirm: "The issuer is the proxy's CA; from another network the issuer is a different one.",
        change: "Exclude HAProxy's traffic from that proxy.",
    },
];

pub(super) const INVALID: &[Cause] = &[
    Cause {
        what: "It is revoked, or no list of --crl-file covers its issuer, or that list has expired.",
        confirm: "The line says which.",
        change: "Replace the certificate; or renew the lists, one for each issuer of the chain. Reload HAProxy too: it reads files only when it starts.",
    },
    Cause {
        what: "It, or an issuer, is not made for this: for clients only (extended key usage), not for TLS or not to issue others (key usage, basic constraints), or with a key or signature that HAProxy's library refuses as unsafe.",
        confirm: "The line names the certificate and what is wrong; openssl x509 -text -in FILE shows its extensions.",
        change: "Have it issued as a server certificate, by a CA that may issue.",
    },
    Cause {
        what: "It may be good, but sni-check cannot judge it: a form, key or signature that its library does not support.",
        confirm: "The line says `limit of sni-check`; docs/limits.md lists them.",
        change: "Use HAProxy's own check for this backend (check-sni); sni-check diagnose prints the lines.",
    },
    Cause {
        what: "Its issuer may not issue for this name or this far down (constraints).",
        confirm: "openssl x509 -text -in the issuer's file shows name constraints and path length.",
        change: "Have it issued by the right CA.",
    },
];

pub(super) const ENDS_SOON: &[Cause] = &[
    Cause {
        what: "A certificate of the chain ends within --min-cert-days; renewal is late or does not work.",
        confirm: "The line names the certificate and its days; look at the renewal's log at the backend.",
        change: "Renew it now.",
    },
    NOT_RELOADED,
    Cause {
        what: "The certificate is renewed later than --min-cert-days asks for.",
        confirm: "Compare the option with when the renewal is due (often 30 days before the end; less for short-lived ones).",
        change: "Lower it, or use --warn-cert-days, which only prints a warning.",
    },
];

pub(super) const CLIENT: &[Cause] = &[
    Cause {
        what: "The server wants a client certificate and the check has none.",
        confirm: "The line says certificate_required or that one is wanted.",
        change: "--crt FILE (chain and key in one PEM, inside the chroot), and crt FILE on the server line.",
    },
    Cause {
        what: "Our certificate has expired, is revoked, or comes from a CA the server does not trust.",
        confirm: "The alert in the line says which; the server's log says more.",
        change: "Renew it, or make the server trust its CA. Reload HAProxy too: it reads files only when it starts.",
    },
];
