//! Points in time and spans of time, as messages show them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use der::DateTime;

/// Returns a span in milliseconds, rounded to a tenth.
pub(crate) fn milliseconds(time: Duration) -> f64 {
    tenths(time) as f64 / 10.0
}

/// Returns a span as a check's line shows it: `3.4ms`.
pub(crate) fn in_milliseconds(time: Duration) -> String {
    let tenths = tenths(time);
    format!("{}.{}ms", tenths / 10, tenths % 10)
}

/// Returns a span in tenths of a millisecond.
fn tenths(time: Duration) -> u64 {
    let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    micros.saturating_add(50) / 100
}

/// Returns a point in time (since the Unix epoch) in RFC 3339 format, in UTC.
pub(crate) fn date(since_epoch: Duration) -> String {
    DateTime::from_unix_duration(since_epoch).map_or_else(
        |_| since_epoch.as_secs().to_string(),
        |date| date.to_string(),
    )
}

/// Returns only the day of a point in time.
pub(crate) fn day(since_epoch: Duration) -> String {
    let date = date(since_epoch);
    date.split('T').next().unwrap_or(&date).to_owned()
}

/// Returns the current time, since the Unix epoch.
pub(crate) fn now() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}
