//! The exit codes. The code is all that HAProxy learns from an external check.
//!
//! In a code of two digits, the first digit is the layer, as in HAProxy's own L4/L6/L7 (3 is the name,
//! 5 the certificate). The second digit is 2 for time-outs only. Released codes never change.

/// An exit code of sni-check.
///
/// HAProxy shows the code as `check_code` in its statistics and as `code: N` in its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
#[allow(
    missing_docs,
    reason = "`meaning` documents each code in the words that users read"
)]
pub enum Code {
    Healthy = 0,
    Internal = 1,
    Refused = 2,
    AtLimit = 3,
    NameNotFound = 31,
    ResolveTimeout = 32,
    ConnectionRefused = 41,
    ConnectTimeout = 42,
    Unreachable = 43,
    CertificateExpired = 51,
    CertificateNotYetValid = 53,
    CertificateForOtherName = 54,
    IssuerUnknown = 55,
    CertificateInvalid = 56,
    CertificateExpiresSoon = 57,
    ClientCertificate = 58,
    HandshakeRefused = 61,
    HandshakeTimeout = 62,
    NotTls = 63,
    HandshakeClosed = 64,
    NameRefused = 65,
    NothingInCommon = 66,
    Status = 71,
    ResponseTimeout = 72,
    NotHttp = 73,
    ResponseClosed = 74,
    Body = 75,
    Header = 76,
}

/// The layer at which a check ended. In a code of two digits, the first digit is the layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layer {
    /// No layer: sni-check refused the options, serve was at its limit, or an internal error occurred.
    Call,
    /// Resolving the name.
    Name,
    /// Connecting (HAProxy's L4).
    Connection,
    /// The server's certificate, or ours (HAProxy's L6).
    Certificate,
    /// The TLS handshake (HAProxy's L6).
    Tls,
    /// The HTTP response (HAProxy's L7). Checks of healthy servers end here too.
    Http,
}

impl Code {
    /// Every code, in ascending order.
    pub const ALL: [Code; 28] = [
        Code::Healthy,
        Code::Internal,
        Code::Refused,
        Code::AtLimit,
        Code::NameNotFound,
        Code::ResolveTimeout,
        Code::ConnectionRefused,
        Code::ConnectTimeout,
        Code::Unreachable,
        Code::CertificateExpired,
        Code::CertificateNotYetValid,
        Code::CertificateForOtherName,
        Code::IssuerUnknown,
        Code::CertificateInvalid,
        Code::CertificateExpiresSoon,
        Code::ClientCertificate,
        Code::HandshakeRefused,
        Code::HandshakeTimeout,
        Code::NotTls,
        Code::HandshakeClosed,
        Code::NameRefused,
        Code::NothingInCommon,
        Code::Status,
        Code::ResponseTimeout,
        Code::NotHttp,
        Code::ResponseClosed,
        Code::Body,
        Code::Header,
    ];

    /// Returns the process's exit status.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// Returns true if the check failed because it reached its deadline.
    pub const fn is_timeout(self) -> bool {
        matches!(
            self,
            Code::ResolveTimeout
                | Code::ConnectTimeout
                | Code::HandshakeTimeout
                | Code::ResponseTimeout
        )
    }

    /// Returns the layer at which a check with this code ended.
    pub const fn layer(self) -> Layer {
        match self.number() / 10 {
            0 if self.number() > 0 => Layer::Call,
            3 => Layer::Name,
            4 => Layer::Connection,
            5 => Layer::Certificate,
            6 => Layer::Tls,
            _ => Layer::Http,
        }
    }

    /// Returns the status that HAProxy's own checks would show for the same result (HAProxy
    /// management guide, section 9.1, field `check_status`), or `-` if HAProxy has no such status.
    pub fn haproxy_word(self) -> &'static str {
        let timed_out = self.number() % 10 == 2;
        match (self, self.layer()) {
            (Code::Healthy, _) => "L7OK",
            (Code::Status, _) => "L7STS",
            (_, Layer::Call | Layer::Name) => "-",
            (_, Layer::Connection) if timed_out => "L4TOUT",
            (_, Layer::Connection) => "L4CON",
            (_, Layer::Certificate | Layer::Tls) if timed_out => "L6TOUT",
            (_, Layer::Certificate | Layer::Tls) => "L6RSP",
            (_, Layer::Http) if timed_out => "L7TOUT",
            (_, Layer::Http) => "L7RSP",
        }
    }

    /// Returns the code closest to a status of HAProxy's own checks. Returns `None` for the status of a
    /// healthy server, and for a status that no code is close to.
    pub fn of_haproxy_word(word: &str) -> Option<Code> {
        Some(match word {
            "L4CON" | "SOCKERR" => Code::Unreachable,
            "L4TOUT" => Code::ConnectTimeout,
            "L6RSP" => Code::HandshakeRefused,
            "L6TOUT" => Code::HandshakeTimeout,
            "L7STS" => Code::Status,
            "L7TOUT" => Code::ResponseTimeout,
            "L7RSP" => Code::NotHttp,
            _ => return None,
        })
    }

    /// Returns the meaning of the code as a short phrase.
    pub fn meaning(self) -> &'static str {
        match self {
            Code::Healthy => "healthy",
            Code::Internal => "internal error: a bug in sni-check, or memory exhausted",
            Code::Refused => "options or environment refused; nothing was sent",
            Code::AtLimit => "sni-check serve is at its limit; nothing was sent",
            Code::NameNotFound => "the name did not resolve",
            Code::ResolveTimeout => "resolving the name timed out",
            Code::ConnectionRefused => "connection refused",
            Code::ConnectTimeout => "connecting timed out",
            Code::Unreachable => "unreachable, or any other failure to connect",
            Code::CertificateExpired => "certificate expired",
            Code::CertificateNotYetValid => "certificate not yet valid",
            Code::CertificateForOtherName => "certificate is for another name",
            Code::IssuerUnknown => {
                "certificate's issuer unknown (self-signed, missing intermediate, private CA)"
            }
            Code::CertificateInvalid => {
                "certificate otherwise invalid (revoked, bad signature, wrong use, constraints)"
            }
            Code::CertificateExpiresSoon => "certificate expires within `--min-cert-days`",
            Code::ClientCertificate => "server requires a client certificate, or refused ours",
            Code::HandshakeRefused => {
                "handshake refused by the server (the check's line names the alert)"
            }
            Code::HandshakeTimeout => "handshake timed out",
            Code::NotTls => {
                "the peer does not speak TLS, or speaks it in a way that sni-check doesn't understand"
            }
            Code::HandshakeClosed => "connection closed or reset during the handshake",
            Code::NameRefused => "server refused the SNI name, or requires SNI",
            Code::NothingInCommon => "no TLS version or cipher in common",
            Code::Status => "unexpected HTTP status",
            Code::ResponseTimeout => "response timed out",
            Code::NotHttp => "not a valid HTTP response",
            Code::ResponseClosed => "connection closed or reset before the response was complete",
            Code::Body => "body expectation not met",
            Code::Header => "header expectation not met",
        }
    }

    /// Returns the code with this number, if it exists.
    pub fn from_number(number: u8) -> Option<Code> {
        Code::ALL.into_iter().find(|code| code.number() == number)
    }
}

#[cfg(test)]
mod tests {
    use super::Code;

    #[test]
    fn all_is_in_ascending_order_without_duplicates() {
        assert!(Code::ALL.is_sorted_by(|a, b| a.number() < b.number()));
        for code in Code::ALL {
            assert_eq!(Code::from_number(code.number()), Some(code));
        }
    }

    #[test]
    fn all_has_every_variant() {
        let source = include_str!("code.rs");
        let variants = source.split_once("pub enum Code {").expect("the enum").1;
        let variants = variants.split_once('}').expect("its end").0;
        let numbers = variants.lines().filter_map(|line| line.split_once(" = "));
        let numbers: Vec<&str> = numbers
            .map(|(_, number)| number.trim_end_matches(','))
            .collect();
        assert_eq!(numbers, Code::ALL.map(|code| code.number().to_string()));
    }

    #[test]
    fn only_a_second_digit_of_two_is_a_time_out() {
        for code in Code::ALL.into_iter().filter(|code| code.number() > 9) {
            let timed_out = code.meaning().contains("timed out");
            assert_eq!(timed_out, code.number() % 10 == 2, "{code:?}");
        }
    }

    #[test]
    fn no_code_collides_with_rust_a_shell_or_haproxy() {
        for number in Code::ALL.map(Code::number) {
            assert!(number != 101 && !(126..=159).contains(&number) && number != 255);
        }
    }
}
