//! The cases that HAProxy and sni-check judge differently, and the reasons.

use crate::differences::Differences;
use crate::harness::Differs;

pub const DIFFERENCES: Differences = Differences(&[
    (
        Differs::Limit("TLS 1.2 with CBC, with DHE or with RSA key exchange"),
        &[
            "TLS 1.2 cipher DHE-RSA-AES256-GCM-SHA384",
            "TLS 1.2 cipher DHE-RSA-AES128-GCM-SHA256",
            "TLS 1.2 cipher DHE-RSA-CHACHA20-POLY1305",
            "TLS 1.2 cipher DHE-RSA-AES256-SHA*",
            "TLS 1.2 cipher DHE-RSA-AES128-SHA*",
            "TLS 1.2 cipher ECDHE-ECDSA-AES256-SHA*",
            "TLS 1.2 cipher ECDHE-ECDSA-AES128-SHA*",
            "TLS 1.2 cipher ECDHE-RSA-AES256-SHA*",
            "TLS 1.2 cipher ECDHE-RSA-AES128-SHA*",
            "TLS 1.2 cipher AES256-GCM-SHA384",
            "TLS 1.2 cipher AES128-GCM-SHA256",
            "TLS 1.2 cipher AES256-SHA*",
            "TLS 1.2 cipher AES128-SHA*",
            // Client and server have no group in common, so OpenSSL falls back to RSA key exchange.
            "TLSv1.2, P-224 with RSA",
            "TLSv1.2, secp256k1 with RSA",
            "TLSv1.2, brainpoolP256r1 with RSA",
            "TLSv1.2, ffdhe2048 with RSA",
            "TLSv1.2, ffdhe3072 with RSA",
            "GnuTLS NORMAL:-VERS-ALL:+VERS-TLS1.2:-KX-ALL:+RSA",
            "GnuTLS NORMAL:-VERS-ALL:+VERS-TLS1.2:-KX-ALL:+DHE-RSA",
        ],
    ),
    (
        Differs::Limit("key exchange only with X448 or FFDHE"),
        &[
            "TLSv1.2, X448 with RSA",
            "TLSv1.2, X448 with P-256",
            "TLSv1.3, X448 with RSA",
            "TLSv1.3, X448 with P-256",
            "TLSv1.3, ffdhe2048 with*",
            "TLSv1.3, ffdhe3072 with*",
            "GnuTLS NORMAL:-GROUP-ALL:+GROUP-X448",
            "GnuTLS NORMAL:-GROUP-ALL:+GROUP-FFDHE2048",
        ],
    ),
    (
        Differs::Limit("Ed448 or SHA-224, and TLS 1.2 with a key that is only for RSA-PSS"),
        &[
            "Ed448 with TLSv1.2",
            "Ed448 with TLSv1.2, verify none",
            "Ed448 with TLSv1.3",
            "Ed448 with TLSv1.2 TLSv1.3",
            "RSA-PSS with TLSv1.2",
            "RSA-PSS with TLSv1.2, verify none",
            "TLSv1.2, RSA-PSS signing with*",
            "TLSv1.2, RSA signing with RSA+SHA224",
            "TLSv1.2, P-256 signing with ECDSA+SHA224",
            "TLSv1.2, P-384 signing with ECDSA+SHA224",
            "TLSv1.2, P-521 signing with ECDSA+SHA224",
        ],
    ),
    (
        Differs::Limit("More than 64 kB of certificates"),
        &[
            "TLSv1.2, 70 kB of certificates",
            "TLSv1.3, 70 kB of certificates",
            "TLSv1.2, 90 kB of certificates",
            "TLSv1.3, 90 kB of certificates",
            "TLSv1.2, 98 kB of certificates",
            "TLSv1.3, 98 kB of certificates",
        ],
    ),
    (
        Differs::Limit("An empty record or a HelloRequest"),
        &[
            "TLSv1.2, an empty handshake record first",
            "TLSv1.3, an empty handshake record first",
            "TLSv1.2, a HelloRequest first",
            "TLSv1.3, a HelloRequest first",
        ],
    ),
]);
