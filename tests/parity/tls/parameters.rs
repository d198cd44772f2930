//! Cases with different TLS settings of nginx.

use super::Table;
use crate::forge::openssl;

/// OpenSSL's most permissive level. The server then accepts weak parameters, so that the verdict
/// depends on the client.
const LAX: &str = "@SECLEVEL=0";

pub fn cases(table: &mut Table) {
    keys(table);
    key_exchanges(table);
    ciphers(table);
    signatures(table);
    settings(table);
    amounts(table);
    client_certificates(table);
}

fn keys(table: &mut Table) {
    for kind in [
        "P-256", "P-384", "P-521", "RSA", "RSA-PSS", "Ed25519", "Ed448",
    ] {
        for protocols in ["TLSv1.2", "TLSv1.3", "TLSv1.2 TLSv1.3"] {
            let directives = format!("ssl_protocols {protocols};");
            table.nginx(&format!("{kind} with {protocols}"), kind, &directives);
            let case = table.nginx(
                &format!("{kind} with {protocols}, verify none"),
                kind,
                &directives,
            );
            case.server = case.server.replace("required", "none");
            case.options = format!("--sni {} --verify none", super::NAME);
        }
    }
    for protocols in ["TLSv1", "TLSv1.1", "TLSv1 TLSv1.1", "TLSv1 TLSv1.1 TLSv1.2"] {
        let directives = format!("ssl_protocols {protocols};");
        table.nginx(&format!("RSA with {protocols}"), "RSA", &directives);
    }
}

fn key_exchanges(table: &mut Table) {
    let groups = [
        "X25519",
        "P-256",
        "P-384",
        "P-521",
        "X448",
        "P-224",
        "secp256k1",
        "brainpoolP256r1",
        "ffdhe2048",
        "ffdhe3072",
        "P-521:P-384",
        "X448:P-521",
        "X448:X25519",
        "ffdhe2048:P-256",
    ];
    for group in groups {
        for protocol in ["TLSv1.2", "TLSv1.3"] {
            for kind in ["RSA", "P-256"] {
                let directives = format!("ssl_protocols {protocol}; ssl_ecdh_curve {group};");
                let name = format!("{protocol}, {group} with {kind}");
                table.nginx(&name, kind, &directives);
            }
        }
    }
}

/// Adds cases with OpenSSL's TLS 1.2 cipher suites for RSA and ECDSA certificates, except PSK and SRP,
/// and with all cipher suites of TLS 1.3.
fn ciphers(table: &mut Table) {
    let all = format!("ALL:eNULL:{LAX}");
    let list = String::from_utf8(openssl(&["ciphers", "-v", &all], b"")).expect("text");
    let parameters = |group: &str, name: &str, table: &Table| {
        let named = format!("group:{group}");
        let words = [
            "genpkey",
            "-quiet",
            "-genparam",
            "-algorithm",
            "DH",
            "-pkeyopt",
        ];
        let made = openssl(&[&words[..], &[&named]].concat(), b"");
        table
            .sites
            .file(name, &String::from_utf8(made).expect("PEM"))
    };
    let usual = parameters("ffdhe2048", "dh.pem", table);
    let short = parameters("dh_1024_160", "short.pem", table);
    for line in list.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (name, version) = (words[0], words[1]);
        if version == "TLSv1.3" {
            continue;
        }
        let kind = match line {
            line if line.contains("Au=RSA") => "RSA",
            line if line.contains("Au=ECDSA") => "P-256",
            _ => continue,
        };
        if line.contains("Kx=RSAPSK") || line.contains("PSK") || line.contains("SRP") {
            continue;
        }
        let directives = |parameters: &str| {
            format!(
                "ssl_protocols TLSv1.2; ssl_dhparam {parameters};
                 ssl_conf_command CipherString {name}:{LAX};"
            )
        };
        table.nginx(&format!("TLS 1.2 cipher {name}"), kind, &directives(&usual));
        if name == "DHE-RSA-AES128-GCM-SHA256" {
            let what = "DH with 1024 bits";
            table.nginx(what, kind, &directives(&short));
        }
    }
    for suite in [
        "TLS_AES_128_GCM_SHA256",
        "TLS_AES_256_GCM_SHA384",
        "TLS_CHACHA20_POLY1305_SHA256",
        "TLS_AES_128_CCM_SHA256",
        "TLS_AES_128_CCM_8_SHA256",
    ] {
        let directives = format!("ssl_protocols TLSv1.3; ssl_conf_command Ciphersuites {suite};");
        table.nginx(&format!("TLS 1.3 cipher {suite}"), "P-256", &directives);
    }
}

fn signatures(table: &mut Table) {
    let rsa: &[&str] = &[
        "RSA+SHA1",
        "RSA+SHA224",
        "RSA+SHA256",
        "RSA+SHA384",
        "RSA+SHA512",
        "RSA-PSS+SHA256",
        "RSA-PSS+SHA384",
        "RSA-PSS+SHA512",
    ];
    let ecdsa: &[&str] = &[
        "ECDSA+SHA1",
        "ECDSA+SHA224",
        "ECDSA+SHA256",
        "ECDSA+SHA384",
        "ECDSA+SHA512",
    ];
    let pss: &[&str] = &[
        "rsa_pss_pss_sha256",
        "rsa_pss_pss_sha384",
        "rsa_pss_pss_sha512",
    ];
    for (kind, algorithms) in [
        ("RSA", rsa),
        ("P-256", ecdsa),
        ("P-384", ecdsa),
        ("P-521", ecdsa),
        ("RSA-PSS", pss),
    ] {
        for algorithm in algorithms {
            for protocol in ["TLSv1.2", "TLSv1.3"] {
                let directives = format!(
                    "ssl_protocols {protocol}; ssl_conf_command SignatureAlgorithms {algorithm};"
                );
                let name = format!("{protocol}, {kind} signing with {algorithm}");
                table.nginx(&name, kind, &directives);
            }
        }
    }
}

fn settings(table: &mut Table) {
    for (name, directives) in [
        ("no tickets", "ssl_session_tickets off;"),
        ("small records", "ssl_buffer_size 16;"),
        (
            "no extended master secret",
            "ssl_conf_command Options -ExtendedMasterSecret;",
        ),
        (
            "no encrypt-then-mac",
            "ssl_conf_command Options -EncryptThenMac;",
        ),
        (
            "no middlebox compatibility",
            "ssl_conf_command Options -MiddleboxCompat;",
        ),
        ("padded records", "ssl_conf_command RecordPadding 512;"),
        ("no tickets of TLS 1.3", "ssl_conf_command NumTickets 0;"),
        ("many tickets", "ssl_conf_command NumTickets 30;"),
        (
            "the server's order of ciphers",
            "ssl_prefer_server_ciphers on;",
        ),
        ("early data", "ssl_early_data on;"),
        ("a session cache", "ssl_session_cache builtin;"),
        ("a refused handshake", "ssl_reject_handshake on;"),
    ] {
        for protocol in ["TLSv1.2", "TLSv1.3"] {
            let directives = format!("ssl_protocols {protocol}; {directives}");
            table.nginx(&format!("{protocol}, {name}"), "P-256", &directives);
        }
    }
}

/// Adds cases with chains that contain many unnecessary certificates.
fn amounts(table: &mut Table) {
    let (certificate, key) = table.server("P-256");
    let one = crate::forge::chain(&[&table.root.der]);
    for kilobytes in [20, 60, 70, 90, 98, 104, 200] {
        let count = kilobytes * 1000 / table.root.der.len();
        let sent = certificate.clone() + &one.repeat(count);
        for protocol in ["TLSv1.2", "TLSv1.3"] {
            let directives = format!("ssl_protocols {protocol};");
            let (address, port) = table.sites.nginx(&sent, &key, &directives);
            table.judge(
                &format!("{protocol}, {kilobytes} kB of certificates"),
                &address,
                port,
            );
        }
    }
}

fn client_certificates(table: &mut Table) {
    let (certificate, key) = table.server("RSA");
    let crt = table.sites.file("client.pem", &(certificate + &key));
    let ca_file = table.ca_file.clone();
    for verify in ["on", "optional"] {
        for protocol in ["TLSv1.2", "TLSv1.3"] {
            let directives = format!(
                "ssl_protocols {protocol}; ssl_client_certificate {ca_file}; ssl_verify_client {verify};"
            );
            let name = format!("{protocol}, client certificate {verify}");
            table.nginx(&format!("{name}: none"), "P-256", &directives);
            let case = table.nginx(&format!("{name}: sent"), "P-256", &directives);
            case.server = format!("{} crt {crt}", case.server);
            case.options = format!("{} --crt {crt}", case.options);
            let case = table.nginx(&format!("{name}: handshake only"), "P-256", &directives);
            case.backend = String::new();
            case.options = format!("{} --handshake-only", case.options);
        }
    }
}
