//! What the frontends say about the visitors of a backend.

use super::place::{At, Place};
use super::route::Route;

/// What sni-check learns from the frontends about the visitors of a backend.
#[derive(Clone, Debug, Default)]
pub(crate) struct Visitors {
    /// The names that visitors ask for, by Host or SNI. Empty if visitors may ask for any name.
    pub names: Vec<String>,
    /// What the ways to this backend require of a request.
    pub routes: Vec<Route>,
    /// The names that the conditions of the frontends contain, also in comparisons with a part of a name.
    pub mentions: Vec<String>,
    /// The Host that all of these frontends give to every request with `http-request set-header`.
    pub host: Option<At<String>>,
    /// True if a rule of one of these frontends computes the Host from the request.
    pub computes_host: bool,
    /// The line that keeps all visitors from this backend. The line changes the Host, and the frontend
    /// chooses this backend only for other Hosts.
    pub lost: Option<At<String>>,
    /// The `http-request` rules and `acl` lines of a frontend that sends visitors to this backend.
    pub rules: Vec<At<Vec<String>>>,
    /// The `bind` line without TLS of a frontend that also has a `bind` line with TLS, if the frontend sends
    /// the visitors of both to this backend.
    pub plain_bind: Option<Place>,
    /// The header fields that all of these frontends add to visitors' requests, as in [`ProxySettings`].
    pub fields: Vec<(String, String)>,
    /// True if visitors' bytes arrive here as TLS, false if they arrive without TLS, `None` if this is
    /// unknown. This matters in `mode tcp`.
    pub speak_tls: Option<bool>,
}
