//! Lists of what the two judge differently: the cases are marked with them, and docs/limits.md says the
//! same in plain words.

use crate::harness::{Case, Differs};

/// Why cases differ, and their names. A limit is in words of docs/limits.md; `*` stands for any text at
/// the end of a name.
pub struct Differences(pub &'static [(Differs, &'static [&'static str])]);

impl Differences {
    /// Tells the cases that are listed how they differ.
    pub fn mark(&self, cases: &mut [Case]) {
        for (differs, patterns) in self.0 {
            for pattern in *patterns {
                let named = cases.iter_mut().filter(|case| matches(pattern, &case.name));
                let marked = named.map(|case| case.differs = *differs).count();
                assert!(marked > 0, "there is no case {pattern}");
            }
        }
    }

    /// docs/limits.md has this number of cases, and each limit.
    pub fn assert_page_has(&self, count: &str) {
        let page = include_str!("../../docs/limits.md");
        let page = page.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(page.contains(count), "docs/limits.md lacks: {count}");
        for (differs, _) in self.0 {
            if let Differs::Limit(limit) = differs {
                assert!(page.contains(limit), "docs/limits.md lacks: {limit}");
            }
        }
    }
}

/// Whether a pattern stands for this name.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(begin) => name.starts_with(begin),
        None => name == pattern,
    }
}
