//! The criteria of conditions that compare the Host or the SNI of visitors (configuration manual, section
//! 7.1).

use super::address::without_port;

/// Returns true if a criterion compares the Host, and not the SNI.
pub(super) fn is_of_host(criterion: &[&str]) -> bool {
    criterion.first().is_some_and(|word| word.contains("hdr("))
}

/// Returns true if two Hosts are the same name. Ignores ports and letter case.
pub(super) fn is_same(one: &str, other: &str) -> bool {
    without_port(one).eq_ignore_ascii_case(without_port(other))
}

/// Returns the names in a criterion that compares the Host or the SNI of visitors with whole names. Returns
/// `None` for other criteria.
pub(super) fn names_in(criterion: &[&str]) -> Option<Vec<String>> {
    let (expression, mut words) = criterion.split_first()?;
    let (fetch, converter) = expression.split_once(',').unwrap_or((expression, ""));
    let fetches = [
        "hdr(host)",
        "req.hdr(host)",
        "req.fhdr(host)",
        "ssl_fc_sni",
        "req.ssl_sni",
        "req_ssl_sni",
    ];
    let converters = ["", "lower", "host_only", "field(1,:)"];
    let fetch = fetch.to_ascii_lowercase();
    if !fetches.contains(&fetch.as_str()) || !converters.contains(&converter) {
        return None;
    }
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
pub(super) fn mentioned_in(criterion: &[String]) -> Vec<String> {
    let Some((fetch, words)) = criterion.split_first() else {
        return Vec::new();
    };
    let fetch = fetch.to_ascii_lowercase();
    let is_about_name = ["hdr", "ssl_fc_sni", "req.ssl_sni", "req_ssl_sni"];
    let is_about_name = is_about_name.iter().any(|part| fetch.contains(part));
    if !is_about_name || (fetch.contains("hdr") && !fetch.contains("(host")) {
        return Vec::new();
    }
    let words = words.iter().take_while(|word| *word != "}");
    let names = words.map(|word| word.trim_matches(['^', '$', '.']).replace('\\', ""));
    let is_valid = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let names = names.filter(|name| name.contains('.') && name.bytes().all(is_valid));
    names.collect()
}
