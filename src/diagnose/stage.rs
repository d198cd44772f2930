//! The stages that a check by sni-check or HAProxy can reach. diagnose keeps a change if the check reaches a
//! later stage with it.

use rustls::AlertDescription;

use crate::code::{Code, Layer};
use crate::failure::Failure;
use crate::haproxy::ask::Answer;
use crate::plan::Plan;

/// The stages of a check, in their order. A failed check ends at one of the stages before `Healthy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// The check didn't run.
    Call,
    Name,
    Connection,
    /// The connection breaks after the server has accepted it (HAProxy's SOCKERR). The check may have reached
    /// any of the later stages by then.
    Broken,
    /// The server accepts the connection, but doesn't answer in TLS.
    Handshake,
    /// The server answers in TLS, but refuses something in the handshake.
    Tls,
    /// The check refuses the server's certificate.
    Certificate,
    /// The server refuses the client's certificate, or requires a client certificate.
    ClientCertificate,
    /// No valid response arrives.
    Response,
    /// The server refuses the request: the status is 400 or more, but not 404 or 410.
    Request,
    /// The server accepts the request, but doesn't have the page.
    Page,
    /// The server has the page, but the response doesn't meet an expectation.
    Content,
    Healthy,
}

/// Returns true if a server sends this alert only after it has read a ClientHello. A TLS server that gets an
/// unexpected PROXY header sends a different alert (`protocol_version`, `unexpected_message`, `decode_error`
/// or `record_overflow`), or closes the connection.
fn is_about_client_hello(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::HandshakeFailure
            | AlertDescription::InsufficientSecurity
            | AlertDescription::AccessDenied
            | AlertDescription::InternalError
            | AlertDescription::MissingExtension
            | AlertDescription::UnrecognisedName
            | AlertDescription::NoApplicationProtocol
    )
}

impl Stage {
    /// Returns the stage in which a check with this plan failed.
    pub fn of_failure(failure: &Failure, plan: &Plan) -> Stage {
        match failure.code().layer() {
            Layer::Call => Stage::Call,
            Layer::Name => Stage::Name,
            Layer::Connection => Stage::Connection,
            Layer::Tls => match failure {
                Failure::NameRefused { .. } | Failure::UnsafeRenegotiation => Stage::Tls,
                Failure::HandshakeRefused(alert) | Failure::NothingInCommon(alert)
                    if is_about_client_hello(*alert) =>
                {
                    Stage::Tls
                }
                Failure::HandshakeRefused(_)
                | Failure::NothingInCommon(_)
                | Failure::OtherVersion(_)
                | Failure::TlsLimit(_)
                    // With a PROXY header, the alert may be about that header.
                    if plan.proxy.is_none() => Stage::Tls,
                _ => Stage::Handshake,
            },
            Layer::Certificate => match failure {
                Failure::ClientCertificate { .. } => Stage::ClientCertificate,
                _ => Stage::Certificate,
            },
            Layer::Http => {
                let status = failure.unexpected_status(&plan.request.expectations);
                match (status, failure) {
                    (Some((status, _)), _) => Stage::of_status(status),
                    (
                        None,
                        Failure::Header { .. }
                        | Failure::Body { .. }
                        | Failure::NoBody { .. }
                        | Failure::Undecided { .. },
                    ) => Stage::Content,
                    (None, _) => Stage::Response,
                }
            }
        }
    }

    /// Returns true if a response arrives, and the check rejects it.
    pub fn is_rejected_response(self) -> bool {
        (Stage::Request..=Stage::Content).contains(&self)
    }

    /// Returns the stage of a response with an unexpected status.
    fn of_status(status: u16) -> Stage {
        match status {
            404 | 410 => Stage::Page,
            400.. => Stage::Request,
            _ => Stage::Content,
        }
    }

    /// Returns the stage that HAProxy's check reached (HAProxy management guide, section 9.1,
    /// `check_status`). For a response, HAProxy's code is the status.
    pub fn of_answer(answer: &Answer) -> Stage {
        let Answer::Checked(checked) = answer else {
            return Stage::Call;
        };
        let by_content = [
            "HTTP content check did not match",
            "HTTP content check could not find a response body",
        ];
        let by_content = by_content.iter().any(|part| checked.why.contains(part));
        let by_status = || {
            let status = checked.code.parse();
            status.map_or(Stage::Content, Stage::of_status)
        };
        match checked.status.as_str() {
            _ if checked.up => Stage::Healthy,
            // With `http-check disable-on-404`, the status 404 is L7OKC.
            "L7STS" | "L7OKC" => by_status(),
            "L7RSP" if by_content => by_status(),
            status if status.starts_with("L7") => Stage::Response,
            "PROCERR" => {
                let code = checked.code.parse().ok().and_then(Code::from_number);
                match code.map(Code::layer) {
                    Some(Layer::Http) => Stage::Content,
                    Some(Layer::Certificate) => Stage::Certificate,
                    Some(Layer::Tls) => Stage::Handshake,
                    Some(Layer::Connection | Layer::Name) => Stage::Connection,
                    Some(Layer::Call) | None => Stage::Call,
                }
            }
            _ if checked.why.contains("different from the expected") => Stage::Certificate,
            status if status.starts_with("L6") => Stage::Handshake,
            "SOCKERR" => Stage::Broken,
            _ => Stage::Connection,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Stage;
    use crate::haproxy::ask::{Answer, Checked};

    #[test]
    fn a_broken_connection_is_a_later_stage_than_a_refused_connection() {
        let stages = ["L4CON", "SOCKERR", "L6RSP", "L7RSP"].map(|status| {
            Stage::of_answer(&Answer::Checked(Checked {
                up: false,
                status: status.to_owned(),
                code: String::new(),
                why: String::new(),
                time: None,
            }))
        });
        assert!(stages.is_sorted_by(|one, next| one < next), "{stages:?}");
    }
}
