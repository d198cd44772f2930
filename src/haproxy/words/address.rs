//! Variables in addresses. HAProxy replaces them even outside of double quotes and in single quotes, because
//! it parses an address a second time. HAProxy 2.6, 3.0 and 3.2 do this, although the manual doesn't mention
//! it.

use super::{Variable, name_length};

/// The words that are followed by an address, wherever they are in a line.
const BEFORE_ADDRESS: [&str; 4] = ["addr", "socks4", "source", "usesrc"];

/// Replaces the variables in the addresses of a line. Returns the names of variables that aren't set. HAProxy
/// replaces such a variable with nothing.
pub(crate) fn expand_addresses(words: &mut [String], variable: Variable<'_>) -> Vec<String> {
    let mut unset = Vec::new();
    for at in addresses(words) {
        words[at] = expanded(&words[at], variable, &mut unset);
    }
    unset
}

/// Returns the positions of the addresses that contain a `$`.
fn addresses(words: &[String]) -> Vec<usize> {
    let word = |at: usize| words.get(at).map_or("", String::as_str);
    let (fixed, from) = match (word(0), word(1)) {
        ("bind" | "dispatch" | "log" | "source", _) => (1, 2),
        ("server" | "stats" | "peer" | "nameserver", _) => (2, 3),
        ("server-template", _) => (3, 4),
        ("default-server", _) => (0, 1),
        ("http-check" | "tcp-check", "connect") => (0, 2),
        _ => return Vec::new(),
    };
    let is_address =
        |at: &usize| *at == fixed || *at > from && BEFORE_ADDRESS.contains(&word(*at - 1));
    let found = (1..words.len()).filter(is_address);
    found.filter(|at| word(*at).contains('$')).collect()
}

/// Replaces `$NAME` and `${NAME}`. A default value such as `${NAME-default}` has no effect here.
fn expanded(word: &str, variable: Variable<'_>, unset: &mut Vec<String>) -> String {
    let mut parts = word.split('$');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let bare = part.strip_prefix('{').unwrap_or(part);
        let (name, rest) = bare.split_at(name_length(bare.as_bytes()));
        match variable(name) {
            Some(value) => text += &value,
            None if name.is_empty() => {}
            None => unset.push(name.to_owned()),
        }
        text += rest.strip_prefix('}').unwrap_or(rest);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::expand_addresses;

    #[test]
    fn variables_in_addresses_need_no_quotes() {
        let look_up = |name: &str| ["IP", "PORT"].contains(&name).then(|| name.to_lowercase());
        for (line, expected) in [
            (
                "server ${IP} ${IP}:$PORT sni ${IP}",
                "server ${IP} ip:port sni ${IP}",
            ),
            (
                "server a x addr ${IP} port ${PORT}",
                "server a x addr ip port ${PORT}",
            ),
            (
                "server-template a 3 ${IP}:1 source $IP",
                "server-template a 3 ip:1 source ip",
            ),
            ("server a ${NONE}:1", "server a :1"),
            ("server a ${IP-x}", "server a ip-x}"),
            ("bind ${IP}:1,$IP:2", "bind ip:1,ip:2"),
            (
                "http-check connect addr ${IP} sni ${IP}",
                "http-check connect addr ip sni ${IP}",
            ),
            ("http-check send uri ${IP}", "http-check send uri ${IP}"),
            ("default-server source ${IP}", "default-server source ip"),
        ] {
            let mut words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            let unset = expand_addresses(&mut words, &look_up);
            assert_eq!(words.join(" "), expected);
            assert_eq!(unset.is_empty(), !line.contains("NONE"), "{line}");
        }
    }
}
