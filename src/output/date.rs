//! Points in time and spans, as they are printed.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use x509_cert::der::DateTime;

/// A span in milliseconds, to a tenth.
pub(crate) fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 10_000.0).round() / 10.0
}

/// A point in time (since the epoch) in RFC 3339's form, in UTC.
pub(crate) fn date(since_epoch: Duration) -> String {
    DateTime::from_unix_duration(since_epoch).map_or_else(
        |_| since_epoch.as_secs().to_string(),
        |date| date.to_string(),
    )
}

/// Now, since the epoch.
pub(crate) fn now() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}
