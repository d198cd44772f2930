//! `option httpchk`, `http-check` and `tcp-check`: the rules of HAProxy's own checks (configuration
//! manual, section 4.2).

use super::place::{At, Place};

/// The rules of a proxy's own checks, with a separate list for each protocol.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rules {
    pub http: List,
    pub tcp: List,
    /// The arguments of `option httpchk`. `None` if the option isn't set, or if the proxy's
    /// own `http-check` lines replace its request.
    pub request: Option<Vec<String>>,
    /// `http-check send-state`, which is a setting and not a rule of the list.
    pub send_state: Option<Place>,
    /// `http-check disable-on-404`, which is a setting, too.
    pub disable_on_404: Option<Place>,
}

/// The rules of one protocol.
#[derive(Clone, Debug, Default)]
pub(crate) struct List {
    /// The words of each line.
    pub lines: Vec<At<Vec<String>>>,
    /// True if the rules come from `defaults`. Then the first rule of the proxy itself replaces all
    /// of them.
    inherited: bool,
}

impl List {
    /// Adds a line. Returns true if it replaced inherited lines.
    fn add(&mut self, words: &[&str], place: &Place) -> bool {
        let replaces = std::mem::take(&mut self.inherited);
        if replaces {
            self.lines.clear();
        }
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        self.lines.push(At::new(words, place));
        replaces
    }

    /// Returns the lines that send something or expect an answer.
    pub(crate) fn dialogue(&self) -> impl Iterator<Item = &At<Vec<String>>> {
        self.lines.iter().filter(|line| {
            let action = line.value.get(1).map_or("", String::as_str);
            action.starts_with("send") || action == "expect"
        })
    }

    /// Returns the lines with this action, such as `connect`.
    pub(crate) fn all<'a>(&'a self, action: &'a str) -> impl Iterator<Item = &'a At<Vec<String>>> {
        let lines = self.lines.iter();
        lines.filter(move |line| line.value.get(1).is_some_and(|word| word == action))
    }
}

impl Rules {
    /// Reads an `http-check` or `tcp-check` line.
    pub(crate) fn add(&mut self, words: &[&str], place: &Place) {
        match words {
            ["http-check", "send-state", ..] => self.send_state = Some(place.clone()),
            ["http-check", "disable-on-404", ..] => self.disable_on_404 = Some(place.clone()),
            ["http-check", ..] => {
                if self.http.add(words, place) {
                    self.request = None;
                }
            }
            _ => {
                self.tcp.add(words, place);
            }
        }
    }

    /// Reads `option httpchk`. In a proxy it replaces the rules of `defaults`, as in HAProxy 2.6 to
    /// 3.2.
    pub(crate) fn set_request(&mut self, words: &[&str]) {
        if std::mem::take(&mut self.http.inherited) {
            self.http.lines.clear();
        }
        self.request = Some(words.iter().map(|word| (*word).to_owned()).collect());
    }

    /// Marks the rules as inherited from `defaults`.
    pub(crate) fn inherit(&mut self) {
        self.http.inherited = true;
        self.tcp.inherited = true;
    }

    /// Removes the `connect` rules, so that the server line decides how the check connects.
    pub(crate) fn remove_connects(&mut self) {
        for list in [&mut self.http, &mut self.tcp] {
            list.lines
                .retain(|line| line.value.get(1).is_none_or(|word| word != "connect"));
        }
    }

    /// Returns true if the http-check sends a request at all.
    pub(crate) fn sends_request(&self) -> bool {
        self.request.is_some() || self.http.all("send").next().is_some()
    }

    /// Returns true if the request is for `/`, the default.
    pub(crate) fn asks_root(&self) -> bool {
        let of_rules = self.http.all("send").filter_map(|line| {
            let at = line.value.iter().position(|word| word == "uri")?;
            line.value.get(at + 1).map(String::as_str)
        });
        let mut words = self.request.iter().flatten().map(String::as_str);
        let of_option = words.find(|word| word.starts_with('/'));
        of_rules.last().or(of_option).is_none_or(|uri| uri == "/")
    }

    /// Returns true if the request uses HTTP/1.1.
    pub(crate) fn says_1_1(&self) -> bool {
        let of_rules = self.http.all("send").filter_map(|line| {
            let at = line.value.iter().position(|word| word == "ver")?;
            line.value.get(at + 1)
        });
        match of_rules.last() {
            Some(version) => version.ends_with("1.1"),
            None => {
                let mut words = self.request.iter().flatten();
                words.any(|word| word.contains("HTTP/1.1"))
            }
        }
    }

    /// Returns the name in the request's Host header, if it has a Host header.
    pub(crate) fn host(&self) -> Option<String> {
        let header = |line: &At<Vec<String>>| {
            let mut three = line.value.windows(3);
            let found = three.find(|three| {
                three[0] == "hdr" && three[1].eq_ignore_ascii_case("host") && !three[2].is_empty()
            })?;
            Some(found[2].clone())
        };
        let of_rules = self.http.all("send").filter_map(header).last();
        of_rules.or_else(|| {
            // The old form writes headers after the version: `GET / HTTP/1.1\r\nHost:\ NAME`.
            let request = self.request.as_ref()?.join(" ");
            let at = request.to_ascii_lowercase().find("host:")?;
            let rest = request.get(at + 5..)?.trim_start();
            let name = rest.split(['\r', '\n', ' ']).next()?;
            (!name.is_empty()).then(|| name.to_owned())
        })
    }
}
