//! `option httpchk`, `http-check` and `tcp-check`: the rules of HAProxy's own checks (configuration
//! manual, section 4.2).

use super::place::{At, Place, owned};
use super::written::Written;

/// The rules of HAProxy's own checks in one proxy. Each protocol has its own list.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rules {
    pub http: List,
    pub tcp: List,
    /// The arguments of `option httpchk`. `None` if the option isn't set, or if the proxy's
    /// own `http-check` lines replace its request.
    pub request: Option<Vec<String>>,
    /// The rules of `defaults` that the proxy's own lines replace.
    pub replaced: Option<Box<Rules>>,
    /// The rules of earlier `defaults` that the lines of the last `defaults` replace.
    replaced_earlier: Option<Box<Rules>>,
    /// True if `option httpchk` comes after an `http-check send` line of the same section.
    option_is_last: bool,
    /// `http-check send-state`, which is a setting and not a rule of the list.
    pub send_state: Option<Place>,
    /// `http-check disable-on-404`, which isn't a rule of the list either.
    pub disable_on_404: Option<Place>,
}

/// The rules of one protocol.
#[derive(Clone, Debug, Default)]
pub(crate) struct List {
    /// The words of each line.
    pub lines: Vec<At<Vec<String>>>,
    /// True if the rules come from `defaults`. The first rule of the proxy itself then replaces all of them.
    inherited: bool,
}

impl List {
    /// Adds a line. Returns true if it replaced inherited lines.
    fn add(&mut self, words: &[&str], place: &Place) -> bool {
        let replaces = std::mem::take(&mut self.inherited);
        if replaces {
            self.lines.clear();
        }
        self.lines.push(At::new(owned(words), place));
        replaces
    }

    /// Returns the rules that send something or expect an answer.
    pub(crate) fn dialogue(&self) -> impl Iterator<Item = &At<Vec<String>>> {
        self.lines.iter().filter(|line| {
            let action = line.value.get(1).map_or("", String::as_str);
            action.starts_with("send") || action == "expect"
        })
    }

    /// Returns the lines with this action, such as `connect`.
    pub(crate) fn all<'a>(&'a self, action: &'a str) -> impl Iterator<Item = &'a At<Vec<String>>> {
        let lines = self.lines.iter();
        lines.filter(move |line| has_action(line, action))
    }
}

fn has_action(line: &At<Vec<String>>, action: &str) -> bool {
    line.value.get(1).is_some_and(|word| word == action)
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
        self.option_is_last = self.http.all("send").next().is_some();
        self.request = Some(owned(words));
    }

    /// Marks the rules as inherited from `defaults`.
    pub(crate) fn inherit(&mut self) {
        let replaced = self.replaced.take();
        self.replaced_earlier = replaced.or(self.replaced_earlier.take());
        self.http.inherited = true;
        self.tcp.inherited = true;
    }

    /// Returns true if the http-check sends a request.
    pub(crate) fn sends_request(&self) -> bool {
        self.request.is_some() || self.http.all("send").next().is_some()
    }

    /// Returns the request of `option httpchk`, as changed by the `http-check send` lines.
    pub(crate) fn sent(&self) -> Request {
        let mut request = Request::of_option(self.request.as_deref().unwrap_or_default());
        // If the option and an `http-check send` line have headers, HAProxy 2.6 sends the headers of the
        // later line. HAProxy 3.0 refuses headers in the option.
        let of_option = std::mem::take(&mut request.headers);
        for rule in self.http.all("send") {
            request.read(&rule.value);
        }
        if request.headers.is_empty() || (self.option_is_last && !of_option.is_empty()) {
            request.headers = of_option;
        }
        request
    }

    /// Returns the request of `defaults` that later lines have replaced. If these `defaults` had themselves
    /// replaced an earlier request, combines both requests; the words of the later request have priority.
    /// Returns `None` if no line has replaced a request.
    pub(crate) fn replaced_request(&self) -> Option<Request> {
        let replaced = self.replaced.as_ref().or(self.replaced_earlier.as_ref())?;
        let sent = replaced.sent();
        Some(match replaced.replaced_request() {
            Some(earlier) => earlier.with_changes(&Request::default(), &sent),
            None => sent,
        })
    }

    /// Makes the check send this request, with one `http-check send` in place of all existing ones.
    pub(crate) fn send(&mut self, request: &Request, place: &Place) {
        let lines = &mut self.http.lines;
        let position = |action| lines.iter().position(|line| has_action(line, action));
        let at = position("send").or(position("expect"));
        let at = at.unwrap_or(lines.len());
        lines.retain(|line| !has_action(line, "send"));
        lines.insert(at, At::new(request.words(), place));
        // `option httpchk` may have headers in its old form, which HAProxy would send, too.
        self.request = self.request.take().map(|_| Vec::new());
    }

    /// Returns true if `option httpchk` has headers after the version, in the old form.
    pub(crate) fn has_old_headers(&self) -> bool {
        let option = self.request.as_deref();
        option.is_some_and(|words| Request::in_old_form(words).is_some())
    }

    /// Returns the name in the request's Host header, if it has a Host header.
    pub(crate) fn host(&self) -> Option<String> {
        self.sent().host().map(str::to_owned)
    }
}

/// The page that a request names if it concerns the whole server (RFC 9110, section 9.3.7).
const WHOLE_SERVER: &str = "*";

/// The request of an http-check.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Request {
    /// `None` for HAProxy's default, OPTIONS.
    pub method: Option<String>,
    /// `None` for HAProxy's default, `/`.
    pub uri: Option<String>,
    pub version: Option<String>,
    pub headers: Vec<(String, String)>,
    pub body: Option<String>,
    /// The log-formats of the page and of the body (`uri-lf`, `body-lf`).
    pub formats: [Option<String>; 2],
    pub comment: Option<String>,
    /// True if the page or the body is a log-format, which only HAProxy can evaluate.
    pub is_evaluated: bool,
}

impl Request {
    /// Reads the words after `option httpchk`. A single word is the URI.
    fn of_option(words: &[String]) -> Request {
        let word = |at: usize| words.get(at).filter(|word| !word.is_empty());
        let (method, uri) = match (word(0), word(1)) {
            (uri, None) => (None, uri),
            both => both,
        };
        let version = word(2).and_then(|rest| rest.split(['\r', '\n']).next());
        let mut request = Request {
            method: method.cloned(),
            uri: uri.cloned(),
            version: version.map(str::to_owned),
            ..Request::default()
        };
        // The old form writes headers after the version: `GET / HTTP/1.1\r\nHost:\ NAME`.
        let text = words.get(2..).unwrap_or_default().join(" ");
        request.read_fields(text.split(['\r', '\n']).skip(1));
        request
    }

    /// Returns the request in the words after `option httpchk`, if they contain headers in the old form. HAProxy
    /// 3.0 and later refuse this form.
    pub(crate) fn in_old_form(words: &[String]) -> Option<Request> {
        Some(Request::of_option(words)).filter(|request| !request.headers.is_empty())
    }

    /// Adds headers of the form `NAME: VALUE`.
    pub(crate) fn read_fields<'a>(&mut self, fields: impl Iterator<Item = &'a str>) {
        for (name, value) in fields.filter_map(|field| field.split_once(':')) {
            if !value.trim().is_empty() {
                self.set_header(name.trim(), value.trim());
            }
        }
    }

    /// Reads an `http-check send` line.
    fn read(&mut self, words: &[String]) {
        let mut words = words.iter().skip(2).map(String::as_str);
        while let Some(word) = words.next() {
            let mut value = || words.next().unwrap_or_default().to_owned();
            match word {
                "meth" => self.method = Some(value()),
                "uri" => {
                    self.uri = Some(value());
                    self.formats[0] = None;
                }
                // A log-format without expressions is the path itself.
                "uri-lf" => {
                    let format = value();
                    self.uri = Some(format.clone()).filter(|uri| !uri.contains('%'));
                    self.formats[0] = Some(format).filter(|_| self.uri.is_none());
                    self.is_evaluated |= self.uri.is_none();
                }
                "body-lf" => {
                    self.formats[1] = Some(value());
                    self.is_evaluated = true;
                }
                "comment" => self.comment = Some(value()),
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

    /// Returns the value of the last Host header that isn't empty, or `None`.
    pub(crate) fn host(&self) -> Option<&str> {
        let mut headers = self.headers.iter().rev();
        let is_host = |(name, value): &&(String, String)| {
            name.eq_ignore_ascii_case("host") && !value.is_empty()
        };
        headers.find(is_host).map(|(_, value)| value.as_str())
    }

    /// Returns true if the request has this header.
    pub(crate) fn has_header(&self, name: &str) -> bool {
        let mut headers = self.headers.iter();
        headers.any(|(known, _)| known.eq_ignore_ascii_case(name))
    }

    /// Sets a header, and removes all other headers with the same name.
    pub(crate) fn set_header(&mut self, name: &str, value: &str) {
        self.headers
            .retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self.headers.push((name.to_owned(), value.to_owned()));
    }

    /// Changes the method to GET. Only OPTIONS may ask for `*`, so this page becomes `/`.
    pub(crate) fn set_get(&mut self) {
        self.method = Some("GET".to_owned());
        if self.asks_whole_server() {
            self.uri = Some("/".to_owned());
        }
    }

    /// Returns true if the request asks for `*`, the whole server.
    pub(crate) fn asks_whole_server(&self) -> bool {
        self.uri.as_deref() == Some(WHOLE_SERVER)
    }

    /// Returns this request, with all differences between `base` and `changed` applied to it.
    pub(crate) fn with_changes(mut self, base: &Request, changed: &Request) -> Request {
        let fields = [
            (&mut self.method, &base.method, &changed.method),
            (&mut self.uri, &base.uri, &changed.uri),
            (&mut self.version, &base.version, &changed.version),
            (&mut self.body, &base.body, &changed.body),
        ];
        for (field, base, changed) in fields {
            if base != changed {
                field.clone_from(changed);
            }
        }
        let removed = |header: &(String, String)| {
            base.headers.contains(header) && !changed.headers.contains(header)
        };
        self.headers.retain(|header| !removed(header));
        let added = changed.headers.iter();
        for (name, value) in added.filter(|header| !base.headers.contains(header)) {
            self.set_header(name, value);
        }
        self
    }

    /// Returns true if the request uses HTTP/1.1.
    pub(crate) fn is_1_1(&self) -> bool {
        let version = self.version.as_ref();
        version.is_some_and(|version| version.ends_with("1.1"))
    }

    /// Returns the words of the `http-check send` line that sends this request.
    pub(crate) fn words(&self) -> Vec<String> {
        let mut words = vec!["http-check", "send", "meth"];
        words.push(self.method.as_deref().unwrap_or("OPTIONS"));
        let [page, body] = &self.formats;
        match (&self.uri, page) {
            (None, Some(format)) => words.extend(["uri-lf", format]),
            (uri, _) => words.extend(["uri", uri.as_deref().unwrap_or("/")]),
        }
        if let Some(version) = &self.version {
            words.extend(["ver", version]);
        }
        for (name, value) in &self.headers {
            words.extend(["hdr", name, value]);
        }
        match (&self.body, body) {
            (_, Some(format)) => words.extend(["body-lf", format]),
            (Some(body), None) => words.extend(["body", body]),
            (None, None) => {}
        }
        if let Some(comment) = &self.comment {
            words.extend(["comment", comment]);
        }
        words.into_iter().map(str::to_owned).collect()
    }

    /// Returns the `http-check send` line that sends this request, with variables as they are written.
    pub(crate) fn line(&self, written: &Written) -> String {
        written.line(&self.words())
    }
}
