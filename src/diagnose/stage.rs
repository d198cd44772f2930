//! How far a check gets, whether sni-check or HAProxy makes it. diagnose keeps a change with which the
//! check gets further.

use crate::code::Layer;
use crate::failure::Failure;
use crate::haproxy::ask::Answer;
use crate::plan::Plan;

/// The stages of a check, in their order. A failed check ends in one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// The check wasn't made.
    Call,
    Name,
    Connection,
    /// The server accepts the connection, but doesn't answer in TLS.
    Handshake,
    /// The server answers in TLS, and refuses something in the handshake.
    Tls,
    /// The check refuses the server's certificate.
    Certificate,
    /// The server refuses the client's certificate, or wants one.
    ClientCertificate,
    /// No valid response arrives.
    Response,
    /// The server refuses the request: its status is 400 or more.
    Request,
    /// The server accepts the request, but doesn't have the page.
    Page,
    /// The server has the page, and an expectation refuses it.
    Content,
    Healthy,
}

impl Stage {
    /// Returns the stage in which a check with this plan failed.
    pub fn of_failure(failure: &Failure, plan: &Plan) -> Stage {
        match failure.code().layer() {
            Layer::Call => Stage::Call,
            Layer::Name => Stage::Name,
            Layer::Connection => Stage::Connection,
            Layer::Tls => match failure {
                Failure::HandshakeRefused(_)
                | Failure::NothingInCommon(_)
                | Failure::NameRefused { .. }
                | Failure::OtherVersion(_)
                | Failure::UnsafeRenegotiation
                | Failure::TlsLimit(_)
                    // The answer to a PROXY header may be about the header.
                    if plan.proxy.is_none() => Stage::Tls,
                _ => Stage::Handshake,
            },
            Layer::Certificate => match failure {
                Failure::ClientCertificate { .. } => Stage::ClientCertificate,
                _ => Stage::Certificate,
            },
            Layer::Http => match failure {
                Failure::Status {
                    status: 404 | 410, ..
                } => Stage::Page,
                Failure::Status { status: 400.., .. } => Stage::Request,
                Failure::Status { .. }
                | Failure::Header { .. }
                | Failure::Body { .. }
                | Failure::NoBody { .. }
                | Failure::Undecided { .. } => Stage::Content,
                _ => Stage::Response,
            },
        }
    }

    /// Returns the stage that HAProxy's own check reached (HAProxy management guide, section 9.1,
    /// `check_status`). HAProxy's words don't distinguish a missing page from a refused request.
    pub fn of_answer(answer: &Answer) -> Stage {
        let Answer::Checked(checked) = answer else {
            return Stage::Call;
        };
        let by_content = checked.why.contains("HTTP content check did not match");
        match checked.status.as_str() {
            _ if checked.up => Stage::Healthy,
            "L7STS" => Stage::Content,
            "L7RSP" if by_content => Stage::Content,
            status if status.starts_with("L7") => Stage::Response,
            _ if checked.why.contains("different from the expected") => Stage::Certificate,
            status if status.starts_with("L6") => Stage::Handshake,
            _ => Stage::Connection,
        }
    }
}
