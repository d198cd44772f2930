//! Cases with different validity periods.

use super::{NAME, Table};
use crate::forge::{Authority, Draft, days, generalized, tlv};

pub fn cases(table: &mut Table) {
    let utc = |text: &str| tlv(23, &[text.as_bytes()]);
    let usual = || (days(-9), days(9));
    for (what, begin, end) in [
        ("valid", usual().0, usual().1),
        ("expired", days(-9), days(-2)),
        ("expires today", days(-9), days(0)),
        ("not begun", days(2), days(9)),
        ("begins now", days(0), days(9)),
        ("ends before it begins", days(9), days(-9)),
        (
            "GeneralizedTime before 2050",
            generalized("20200101000000Z"),
            generalized("20491231235959Z"),
        ),
        ("year 9999", days(-9), generalized("99991231235959Z")),
        (
            "year 2050 as GeneralizedTime",
            days(-9),
            generalized("20500101000000Z"),
        ),
        ("from 1950", utc("500101000000Z"), days(9)),
        (
            "year 0 to 9999",
            generalized("00000101000000Z"),
            generalized("99991231235959Z"),
        ),
        ("UTCTime without seconds", utc("2001010000Z"), days(9)),
        ("UTCTime with an offset", utc("200101000000+0100"), days(9)),
        (
            "GeneralizedTime with fractions",
            generalized("20200101000000.5Z"),
            days(9),
        ),
        (
            "GeneralizedTime without Z",
            generalized("20200101000000"),
            days(9),
        ),
        ("month 13", utc("201301000000Z"), days(9)),
        ("30 February", utc("200230000000Z"), days(9)),
        ("second 60", utc("200101000060Z"), days(9)),
        ("empty times", utc(""), utc("")),
        ("letters as times", utc("abcdefghijklZ"), days(9)),
    ] {
        table.leaf(
            what,
            Draft::leaf(&[NAME]).between(begin.clone(), end.clone()),
        );
        let root = Authority::root("Root");
        let middle = Draft::ca("Middle").between(begin.clone(), end.clone());
        table.below(&format!("{what}: an intermediate"), &root, middle);
        let root = Draft::ca("Root")
            .between(begin, end)
            .self_signed(crate::forge::Key::new());
        let leaf = root.issue(Draft::leaf(&[NAME]));
        table.judge(format!("{what}: the root"), &leaf, &[], &[&root.der]);
    }
}
