//! `option httpchk`, `http-check` and `tcp-check`: the rules of HAProxy's own checks (configuration
//! manual, section 4.2).

use super::super::words::quote;
use super::place::{At, Place};

/// The rules of a proxy's own checks, with a separate list for each protocol.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rules {
    pub http: List,
    pub tcp: List,
    /// The arguments of `option httpchk`. `None` if the option isn't set, or if the proxy's
    /// own `http-check` lines replace its request.
    pub request: Option<Vec<String>>,
    /// The rules of `defaults` that the proxy's own lines replace.
    pub replaced: Option<Box<Rules>>,
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
                let before = self.http.inherited.then(|| self.clone());
                if self.http.add(words, place) {
                    self.request = None;
                    self.replaced = before.map(Box::new);
                }
            }
            _ => {
                self.tcp.add(words, place);
            }
        }
    }

    /// Reads `option httpchk`. In a proxy, this option replaces the rules of `defaults`, as in
    /// HAProxy 2.6 to 3.2.
    pub(crate) fn set_request(&mut self, words: &[&str]) {
        if self.http.inherited {
            self.replaced = Some(Box::new(self.clone()));
            self.http.inherited = false;
            self.http.lines.clear();
        }
        self.request = Some(words.iter().map(|word| (*word).to_owned()).collect());
    }

    /// Marks the rules as inherited from `defaults`.
    pub(crate) fn inherit(&mut self) {
        self.replaced = None;
        self.http.inherited = true;
        self.tcp.inherited = true;
    }

    /// Returns true if the http-check sends a request at all.
    pub(crate) fn sends_request(&self) -> bool {
        self.request.is_some() || self.http.all("send").next().is_some()
    }

    /// Returns the request of `option httpchk`, as changed by the `http-check send` lines.
    pub(crate) fn sent(&self) -> Request {
        let mut request = Request::of_option(self.request.as_deref().unwrap_or_default());
        for rule in self.http.all("send") {
            request.read(&rule.value);
        }
        request
    }

    /// Returns the name in the request's Host header, if it has a Host header.
    pub(crate) fn host(&self) -> Option<String> {
        self.sent().host().map(str::to_owned)
    }
}

/// The request of an http-check.
#[derive(Clone, Debug, Default)]
pub(crate) struct Request {
    /// `None` for HAProxy's default, OPTIONS.
    pub method: Option<String>,
    /// `None` for HAProxy's default, `/`.
    pub uri: Option<String>,
    pub version: Option<String>,
    pub headers: Vec<(String, String)>,
    pub body: Option<String>,
}

impl Request {
    /// Reads the words after `option httpchk`. A single word is the URI.
    fn of_option(words: &[String]) -> Request {
        let text = words.join(" ");
        let word = |at: usize| words.get(at).filter(|word| !word.is_empty());
        let (method, uri) = match (word(0), word(1)) {
            (uri, None) => (None, uri),
            both => both,
        };
        let version = word(2).and_then(|rest| rest.split(['\r', '\n', '\\', ' ']).next());
        let mut request = Request {
            method: method.cloned(),
            uri: uri.cloned(),
            version: version.map(str::to_owned),
            ..Request::default()
        };
        // The old form writes headers after the version: `GET / HTTP/1.1\r\nHost:\ NAME`.
        let at = text.to_ascii_lowercase().find("host:");
        let rest = at.and_then(|at| text.get(at + 5..)).unwrap_or_default();
        let name = rest.trim_start().split(['\r', '\n', ' ']).next();
        if let Some(name) = name.filter(|name| !name.is_empty()) {
            request.headers.push(("Host".to_owned(), name.to_owned()));
        }
        request
    }

    /// Reads an `http-check send` line.
    fn read(&mut self, words: &[String]) {
        let mut words = words.iter().skip(2).map(String::as_str);
        while let Some(word) = words.next() {
            let mut value = || words.next().unwrap_or_default().to_owned();
            match word {
                "meth" => self.method = Some(value()),
                "uri" => self.uri = Some(value()),
                // A log-format without expressions is the path itself.
                "uri-lf" => self.uri = Some(value()).filter(|uri| !uri.contains('%')),
                "ver" => self.version = Some(value()),
                "body" => self.body = Some(value()),
                "hdr" => {
                    let name = value();
                    self.headers.push((name, value()));
                }
                _ => {}
            }
        }
    }

    /// Returns the Host header.
    pub(crate) fn host(&self) -> Option<&str> {
        let mut headers = self.headers.iter().rev();
        let is_host = |(name, value): &&(String, String)| {
            name.eq_ignore_ascii_case("host") && !value.is_empty()
        };
        headers.find(is_host).map(|(_, value)| value.as_str())
    }

    /// Returns true if the request uses HTTP/1.1.
    pub(crate) fn is_1_1(&self) -> bool {
        let version = self.version.as_ref();
        version.is_some_and(|version| version.ends_with("1.1"))
    }

    /// Returns the `http-check send` line that sends this request.
    pub(crate) fn line(&self) -> String {
        let mut words = vec!["http-check", "send", "meth"];
        words.push(self.method.as_deref().unwrap_or("OPTIONS"));
        words.extend(["uri", self.uri.as_deref().unwrap_or("/")]);
        if let Some(version) = &self.version {
            words.extend(["ver", version]);
        }
        for (name, value) in &self.headers {
            words.extend(["hdr", name, value]);
        }
        if let Some(body) = &self.body {
            words.extend(["body", body]);
        }
        let words: Vec<String> = words.into_iter().map(quote).collect();
        words.join(" ")
    }
}
