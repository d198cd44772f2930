//! Reads the dates of certificates and revocation lists (RFC 5280, section 4.1.2.5).

use super::element::Elements;

const UTC_TIME: u8 = 23;
const GENERALIZED_TIME: u8 = 24;

/// Reads the next element as a time, in seconds since the epoch. Times before 1970 are negative. The outer
/// `None` means that the element isn't a time. The inner `None` means that OpenSSL can't compare the time
/// with the clock.
pub fn read(elements: &mut Elements<'_>) -> Option<Option<i64>> {
    match elements.next()? {
        (UTC_TIME, text) => Some(seconds(text, 2)),
        (GENERALIZED_TIME, text) => Some(seconds(text, 4)),
        _ => None,
    }
}

/// Parses `YYMMDDhhmmssZ`, or `YYYYMMDDhhmmssZ` if the year has four digits. Returns `None` for other forms,
/// and for dates that don't exist.
fn seconds(text: &[u8], year_digits: usize) -> Option<i64> {
    let (year, rest) = text.split_at_checked(year_digits)?;
    let ([month, day, hour, minute, second], b"Z") = rest.as_chunks::<2>() else {
        return None;
    };
    // A hand-written parser is fast enough for revocation lists, which can have a million dates.
    let number = |digits: &[u8]| {
        digits.iter().try_fold(0_i64, |number, digit| {
            let is_digit = digit.is_ascii_digit();
            is_digit.then(|| number * 10 + i64::from(digit - b'0'))
        })
    };
    let year = match (number(year)?, year_digits) {
        (year, 2) if year < 50 => 2000 + year,
        (year, 2) => 1900 + year,
        (year, _) => year,
    };
    let (month, day) = (number(month)?, number(day)?);
    let (hour, minute, second) = (number(hour)?, number(minute)?, number(second)?);
    let in_range = (1..=12).contains(&month)
        && (1..=days_of(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    let time = || days_since_epoch(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
    in_range.then(time)
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_of(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    // The number of leap years before `year`, counted from year 1.
    let leaps = |year: i64| {
        let last = year - 1;
        last.div_euclid(4) - last.div_euclid(100) + last.div_euclid(400)
    };
    let years = 365 * (year - 1970) + leaps(year) - leaps(1970);
    let months: i64 = (1..month).map(|month| days_of(year, month)).sum();
    years + months + day - 1
}

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn times_are_read_as_openssl_reads_them() {
        for (text, year_digits, expected) in [
            ("700101000000Z", 2, Some(0)),
            ("491231235959Z", 2, Some(2_524_607_999)),
            ("500101000000Z", 2, Some(-631_152_000)),
            ("20000229120000Z", 4, Some(951_825_600)),
            ("99991231235959Z", 4, Some(253_402_300_799)),
            ("00000101000000Z", 4, Some(-62_167_219_200)),
            ("19010229000000Z", 4, None),
            ("7001010000Z", 2, None),
            ("700101000060Z", 2, None),
            ("700101000000+0100", 2, None),
            ("+70101000000Z", 2, None),
            ("", 2, None),
        ] {
            assert_eq!(seconds(text.as_bytes(), year_digits), expected, "{text}");
        }
    }
}
