//! The conditions of rules: `if` or `unless`, and criteria of requests (configuration manual, sections 7.1
//! and 7.2). sni-check understands criteria that compare the Host or the SNI of visitors.

use super::address::without_port;

/// A condition. Without any words, it always holds.
pub(super) struct Condition<'a> {
    pub is_unless: bool,
    /// At least one of these alternatives must hold. All terms of the alternative must hold.
    pub alternatives: Vec<Vec<Term<'a>>>,
}

/// A criterion in braces, or the name of `acl` lines.
pub(super) struct Term<'a> {
    /// The name of the `acl` lines. Empty for a criterion in braces.
    pub name: &'a str,
    pub is_negated: bool,
    /// One of these criteria must hold. Empty if no `acl` line has the term's name.
    pub criteria: Vec<&'a [String]>,
}

/// The names and the criteria of the `acl` lines.
pub(super) type Acls = Vec<(String, Vec<String>)>;

impl<'a> Condition<'a> {
    /// Reads the words of a condition, beginning with `if` or `unless`.
    pub fn read(words: &'a [String], acls: &'a Acls) -> Condition<'a> {
        let mut alternatives = vec![Vec::new()];
        let mut rest = words.get(1..).unwrap_or_default().iter();
        let mut is_negated = false;
        while let Some(word) = rest.next() {
            let bare = word.trim_start_matches('!');
            is_negated ^= (word.len() - bare.len()) % 2 == 1;
            let criteria = match bare {
                // An exclamation mark may be a word of its own.
                "" => continue,
                "or" | "||" => {
                    alternatives.push(Vec::new());
                    continue;
                }
                "{" => {
                    let words = rest.as_slice();
                    let end = rest.position(|word| word == "}");
                    vec![&words[..end.unwrap_or(words.len())]]
                }
                name => {
                    let named = acls.iter().filter(|(known, _)| known == name);
                    named.map(|(_, criterion)| criterion.as_slice()).collect()
                }
            };
            if let Some(terms) = alternatives.last_mut() {
                terms.push(Term {
                    name: if bare == "{" { "" } else { bare },
                    is_negated: std::mem::take(&mut is_negated),
                    criteria,
                });
            }
        }
        let is_unless = words.first().is_some_and(|word| word == "unless");
        Condition {
            is_unless,
            alternatives,
        }
    }

    /// Returns the opposite of a condition that is negated as a whole: `unless …`, `if !NAME` or `if !{ … }`.
    /// Returns `None` for other conditions.
    pub fn opposite(mut self) -> Option<Condition<'a>> {
        match self.alternatives.as_mut_slice() {
            _ if self.is_unless => self.is_unless = false,
            [terms] => match terms.as_mut_slice() {
                [only] if only.is_negated => only.is_negated = false,
                _ => return None,
            },
            _ => return None,
        }
        Some(self)
    }

    /// Returns true if the condition depends on the visitor's own TLS.
    pub fn is_about_tls(&self) -> bool {
        let terms = self.alternatives.iter().flatten();
        let mut words = terms.flat_map(|term| term.criteria.concat());
        words.any(|word| word.contains("ssl_fc"))
    }

    /// Returns the names that this condition allows. `names_in` returns the names that a criterion allows.
    /// Returns an empty list if the condition never holds, and `None` if it allows any name.
    pub fn names(
        &self,
        names_in: impl Fn(&[String]) -> Option<Vec<String>>,
    ) -> Option<Vec<String>> {
        let alternatives = self.alternatives.iter();
        let names = join(alternatives.map(|terms| names_of(terms, &names_in)));
        names.filter(|_| !self.is_unless)
    }

    /// Returns the names that this condition compares with the Host or SNI, or with a part of it. Skips
    /// negated terms.
    pub fn mentions(&self) -> impl Iterator<Item = String> {
        let terms = self.alternatives.iter().flatten();
        let terms = terms.filter(|term| !self.is_unless && !term.is_negated);
        let criteria = terms.flat_map(|term| &term.criteria);
        criteria.flat_map(|criterion| mentioned_in(criterion))
    }

    /// Returns true if this condition certainly holds for every request with this Host.
    pub fn always_holds(&self, host: &str) -> bool {
        let mut alternatives = self.alternatives.iter().map(|terms| holds(terms, host));
        match self.is_unless {
            true => alternatives.all(|holds| holds == Some(false)),
            false => alternatives.any(|holds| holds == Some(true)),
        }
    }
}

/// Returns the names that these terms allow. HAProxy requires all terms, so the first term about the name
/// decides. Returns `None` if no term is about the name.
pub(super) fn names_of(
    terms: &[Term<'_>],
    names_in: impl Fn(&[String]) -> Option<Vec<String>>,
) -> Option<Vec<String>> {
    let mut terms = terms
        .iter()
        .filter(|term| !term.is_negated && !term.criteria.is_empty());
    terms.find_map(|term| join(term.criteria.iter().map(|criterion| names_in(criterion))))
}

/// Returns true if these terms hold for requests with this Host, and false if they don't. Returns `None` if
/// the terms aren't a single comparison of the Host.
fn holds(terms: &[Term<'_>], host: &str) -> Option<bool> {
    let [term] = terms else {
        return terms.is_empty().then_some(true);
    };
    let has_host = |criterion: &&[String]| {
        let names = names_in(criterion).filter(|_| is_of_host(criterion))?;
        Some(names.iter().any(|name| is_same(name, host)))
    };
    let met: Vec<bool> = term.criteria.iter().map(has_host).collect::<Option<_>>()?;
    (!met.is_empty()).then(|| met.contains(&true) != term.is_negated)
}

/// Joins lists. Returns `None` if one of the lists is `None`.
pub(super) fn join(lists: impl Iterator<Item = Option<Vec<String>>>) -> Option<Vec<String>> {
    let lists: Vec<Vec<String>> = lists.collect::<Option<_>>()?;
    Some(lists.concat())
}

/// Returns true if a criterion compares the Host, and not the SNI.
pub(super) fn is_of_host(criterion: &[String]) -> bool {
    criterion.first().is_some_and(|word| word.contains("hdr("))
}

/// Returns true if two Hosts are the same name. Ignores ports and letter case.
pub(super) fn is_same(one: &str, other: &str) -> bool {
    without_port(one).eq_ignore_ascii_case(without_port(other))
}

/// Returns the names in a criterion that compares the Host or the SNI of visitors with whole names. Returns
/// `None` for other criteria.
pub(super) fn names_in(criterion: &[String]) -> Option<Vec<String>> {
    const FETCHES: &str =
        "hdr(host) req.hdr(host) req.fhdr(host) ssl_fc_sni req.ssl_sni req_ssl_sni";
    let (expression, words) = criterion.split_first()?;
    let (fetch, converter) = expression.split_once(',').unwrap_or((expression, ""));
    let mut fetches = FETCHES.split(' ');
    if !fetches.any(|known| fetch.eq_ignore_ascii_case(known))
        || !["", "lower", "host_only", "field(1,:)"].contains(&converter)
    {
        return None;
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut words = words.as_slice();
    loop {
        words = match words {
            ["-i" | "--", rest @ ..] | ["-m", "str", rest @ ..] => rest,
            // `-f` reads the names from a file, and other matches compare only parts of a name.
            [] => return None,
            [word, ..] if word.starts_with('-') => return None,
            names => return Some(names.iter().map(|name| (*name).to_owned()).collect()),
        };
    }
}

/// Returns the names in a criterion about the Host or the SNI of visitors. If the criterion contains a simple
/// regular expression, returns the name in it.
fn mentioned_in(criterion: &[String]) -> Vec<String> {
    let Some((fetch, words)) = criterion.split_first() else {
        return Vec::new();
    };
    let fetch = fetch.to_ascii_lowercase();
    let is_about_sni = ["ssl_fc_sni", "req.ssl_sni", "req_ssl_sni"];
    let is_about_sni = is_about_sni.iter().any(|part| fetch.contains(part));
    let is_about_host = fetch.contains("hdr") && fetch.contains("(host");
    if !is_about_sni && !is_about_host {
        return Vec::new();
    }
    let names = words.iter();
    let names = names.map(|word| word.trim_matches(['^', '$', '.']).replace('\\', ""));
    let is_valid = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let names = names.filter(|name| name.contains('.') && name.bytes().all(is_valid));
    names.collect()
}
