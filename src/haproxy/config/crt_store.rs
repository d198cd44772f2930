//! The `crt-store` sections (configuration manual, section 12.7): certificates and keys in separate files. A
//! server line names them with `crt @STORE/NAME`.

use super::place::owned;

/// A client certificate, as files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClientCertificate {
    pub crt: String,
    /// The file with the private key, or `None` if the key is in `crt`.
    pub key: Option<String>,
}

/// The `crt-store` sections.
#[derive(Debug, Default)]
pub(crate) struct Stores {
    /// All lines of these sections, in the order of the files.
    pub lines: Vec<Vec<String>>,
    /// The certificates, with their names on a server line.
    loaded: Vec<(String, ClientCertificate)>,
    /// The name of the last section. Empty for a section without a name.
    name: String,
    crt_base: Option<String>,
    key_base: Option<String>,
}

impl Stores {
    /// Returns the certificate with this name.
    pub(crate) fn find(&self, name: &str) -> Option<&ClientCertificate> {
        let mut loaded = self.loaded.iter();
        loaded.find(|(known, _)| known == name).map(|(_, it)| it)
    }
}

impl Stores {
    /// Starts a `crt-store` section.
    pub(super) fn open(&mut self, words: &[&str]) {
        words
            .get(1)
            .copied()
            .unwrap_or_default()
            .clone_into(&mut self.name);
        (self.crt_base, self.key_base) = (None, None);
        self.lines.push(owned(words));
    }

    /// Reads a line of a `crt-store` section. `crt_base` and `key_base` are the folders of the `global` section.
    pub(super) fn read(
        &mut self,
        words: &[&str],
        crt_base: Option<&String>,
        key_base: Option<&String>,
    ) {
        self.lines.push(owned(words));
        match words {
            ["crt-base", folder, ..] => self.crt_base = Some((*folder).to_owned()),
            ["key-base", folder, ..] => self.key_base = Some((*folder).to_owned()),
            ["load", pairs @ ..] => self.load(pairs, crt_base, key_base),
            _ => {}
        }
    }

    /// Adds the certificate of a `load` line.
    fn load(&mut self, words: &[&str], crt_base: Option<&String>, key_base: Option<&String>) {
        let value = |wanted| {
            let mut pairs = words.chunks(2).filter(|pair| pair[0] == wanted);
            pairs.next()?.get(1).copied()
        };
        let Some(file) = value("crt") else { return };
        let crt = below(self.crt_base.as_ref().or(crt_base), file);
        // In a section without a name, a certificate without an alias is named like its file.
        let name = match (value("alias"), self.name.as_str()) {
            (None, "") => crt.clone(),
            (alias, store) => format!("@{store}/{}", alias.unwrap_or(file)),
        };
        let key_base = self.key_base.as_ref().or(key_base);
        let key = value("key").map(|key| below(key_base, key));
        self.loaded.push((name, ClientCertificate { crt, key }));
    }
}

/// Returns a path, which starts in this folder if it is relative.
pub(super) fn below(folder: Option<&String>, file: &str) -> String {
    match folder {
        Some(folder) if !file.starts_with(['/', '@']) => {
            format!("{}/{file}", folder.trim_end_matches('/'))
        }
        _ => file.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::Stores;

    #[test]
    fn a_certificate_of_a_store_has_the_name_that_haproxy_gives_it() {
        let mut stores = Stores::default();
        stores.open(&["crt-store", "web"]);
        for line in [
            "crt-base /certs",
            "key-base /keys",
            "load crt a.pem",
            "load crt b.crt key b.key alias b",
        ] {
            stores.read(&line.split(' ').collect::<Vec<_>>(), None, None);
        }
        stores.open(&["crt-store"]);
        stores.read(&["load", "crt", "/c.crt", "key", "/c.key"], None, None);
        for (name, crt, key) in [
            ("@web/a.pem", "/certs/a.pem", None),
            ("@web/b", "/certs/b.crt", Some("/keys/b.key")),
            ("/c.crt", "/c.crt", Some("/c.key")),
        ] {
            let found = stores.find(name);
            let found = found.map(|it| (it.crt.as_str(), it.key.as_deref()));
            assert_eq!(found, Some((crt, key)), "{name}");
        }
    }
}
