//! Marks the cases that HAProxy and sni-check judge differently. docs/limits.md lists the same
//! differences in plain words.

use crate::harness::{Case, Differs};

/// The reasons for differences, each with the names of its cases. The reason for a limit is quoted
/// from docs/limits.md. In a name, `*` stands for any text.
pub struct Differences(pub &'static [(Differs, &'static [&'static str])]);

impl Differences {
    /// Sets the expected difference of each listed case.
    pub fn mark(&self, cases: &mut [Case]) {
        for (differs, patterns) in self.0 {
            for pattern in *patterns {
                let named = cases.iter_mut().filter(|case| matches(pattern, &case.name));
                let marked = named.map(|case| case.differs = *differs).count();
                assert!(marked > 0, "there is no case {pattern}");
            }
        }
    }

    /// Asserts that docs/limits.md contains `count`, a phrase with the number of cases, and the
    /// reason for each limit.
    pub fn assert_page_has(&self, count: &str) {
        let page = include_str!("../../docs/limits.md");
        let page = page.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(page.contains(count), "docs/limits.md lacks: {count}");
        for (differs, _) in self.0 {
            if let Differs::Limit(limit) | Differs::PerhapsLimit(limit) = differs {
                assert!(page.contains(limit), "docs/limits.md lacks: {limit}");
            }
        }
    }
}

/// Returns true if a pattern matches this name. Each `*` matches any text.
fn matches(pattern: &str, name: &str) -> bool {
    let Some((begin, rest)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(mut name) = name.strip_prefix(begin) else {
        return false;
    };
    let (between, end) = rest.rsplit_once('*').unwrap_or(("", rest));
    for part in between.split('*') {
        match name.find(part) {
            Some(place) => name = &name[place + part.len()..],
            None => return false,
        }
    }
    name.ends_with(end)
}
