//! A head that HAProxy's own check reads and HAProxy does not pass on to visitors.

use crate::failure::Failure;

/// What to do about it.
pub(super) const TOO_LONG: &str = "HAProxy answers visitors with 502 here, though its own check may be UP: for them it takes a head of 15360 \
     bytes by default (tune.bufsize less tune.maxrewrite). Shorten the head, as a rule its cookies; or raise \
     both, for example tune.bufsize 32768 in haproxy.cfg's global section and --max-head 31744.";

/// Whether the head is longer than HAProxy's default.
pub(super) fn is_too_long(failure: Option<&Failure>) -> bool {
    matches!(failure, Some(Failure::LongHead { .. }))
}
