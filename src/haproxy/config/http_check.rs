//! `option httpchk`, `http-check` and `tcp-check`: what HAProxy's own checks do.

use super::place::{At, Place};

/// The rules of a proxy's own check.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rules {
    /// What follows `option httpchk`.
    pub request: String,
    /// They come from `defaults`: the first of the proxy's own replaces them.
    pub inherited: bool,
    /// The words of each line.
    lines: Vec<At<Vec<String>>>,
}

/// How a check connects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Connect<'a> {
    /// As the server line says, which is what happens without a rule too.
    AsTheServer,
    /// With TLS of its own, in this line, which names no SNI.
    TlsWithoutSni(&'a Place),
    /// In another way that leaves nothing to say.
    OnItsOwn,
}

impl Rules {
    pub(crate) fn add(&mut self, words: &[&str], place: &Place) {
        if std::mem::take(&mut self.inherited) {
            self.lines.clear();
        }
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        self.lines.push(At::new(words, place));
    }

    /// The lines, each as text.
    pub(crate) fn lines(&self) -> impl Iterator<Item = At<String>> {
        let lines = self.lines.iter();
        lines.map(|line| At::new(line.value.join(" "), &line.place))
    }

    /// The words of the lines.
    pub(crate) fn words(&self) -> &[At<Vec<String>>] {
        &self.lines
    }

    /// How the check connects.
    pub(crate) fn connect(&self) -> Connect<'_> {
        let is_connect =
            |line: &&At<Vec<String>>| line.value.get(1).is_some_and(|word| word == "connect");
        let mut connects = self.lines.iter().filter(is_connect);
        let Some(line) = connects.next() else {
            return Connect::AsTheServer;
        };
        let has = |word: &str| line.value.iter().any(|known| known == word);
        match (has("sni"), has("default"), has("ssl")) {
            (false, true, _) => Connect::AsTheServer,
            (false, false, true) => Connect::TlsWithoutSni(&line.place),
            _ => Connect::OnItsOwn,
        }
    }

    /// Whether the check's request has a Host header, which HAProxy 3.3 and later send as SNI.
    pub(crate) fn has_host(&self) -> bool {
        let after_version = self.request.splitn(4, ' ').nth(3);
        let mut lines = self.lines.iter();
        after_version.is_some_and(|more| !more.is_empty())
            || self.request.to_ascii_lowercase().contains("host:")
            || lines.any(|line| {
                let mut pairs = line.value.windows(2);
                pairs.any(|two| two[0] == "hdr" && two[1].eq_ignore_ascii_case("host"))
            })
    }
}
