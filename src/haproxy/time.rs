//! HAProxy's notation for a span of time.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::refusal::Misfit;

/// A span of time in HAProxy's notation (configuration manual, section 2.5): a number and `us`,
/// `ms`, `s`, `m`, `h` or `d`. A number without a unit is in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time(pub Duration);

impl FromStr for Time {
    type Err = Misfit;

    fn from_str(text: &str) -> Result<Time, Misfit> {
        let unit_at = text
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len());
        let (number, unit) = text.split_at(unit_at);
        let not_a_time = || {
            Misfit::new(
                "is not a time",
                "write a number and us, ms, s, m, h or d, such as 1800ms or 2s",
            )
        };
        let micros_per_unit: u64 = match unit {
            "us" => 1,
            "" | "ms" => 1_000,
            "s" => 1_000_000,
            "m" => 60_000_000,
            "h" => 3_600_000_000,
            "d" => 86_400_000_000,
            _ => return Err(not_a_time()),
        };
        if number.is_empty() {
            return Err(not_a_time());
        }
        // A number that doesn't fit into 64 bits is reported as too long.
        let number = number.parse().unwrap_or(u64::MAX);
        let micros = number.saturating_mul(micros_per_unit);
        match micros {
            0 => Err(Misfit::new("is zero", "write a time longer than zero")),
            1..=86_400_000_000 => Ok(Time(Duration::from_micros(micros))),
            _ => Err(Misfit::new("is too long", "write at most one day, 1d")),
        }
    }
}

/// Writes the time in seconds, milliseconds or microseconds: the largest of these units that needs no
/// fraction.
impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.as_micros();
        match micros {
            _ if micros.is_multiple_of(1_000_000) => write!(f, "{}s", micros / 1_000_000),
            _ if micros.is_multiple_of(1000) => write!(f, "{}ms", micros / 1000),
            _ => write!(f, "{micros}us"),
        }
    }
}
