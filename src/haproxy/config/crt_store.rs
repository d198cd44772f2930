//! The `crt-store` sections (configuration manual, section 12.7): certificates and keys in separate files. A
//! server line names them with `crt @STORE/NAME`.

use super::proxy::{Global, below};

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

impl Global {
    /// Starts a `crt-store` section.
    pub(super) fn open_store(&mut self, words: &[&str]) {
        let stores = &mut self.stores;
        stores.name = words.get(1).copied().unwrap_or_default().to_owned();
        (stores.crt_base, stores.key_base) = (None, None);
        self.add_section_line(words);
    }

    /// Reads a line of a `crt-store` section.
    pub(super) fn read_store(&mut self, words: &[&str]) {
        self.add_section_line(words);
        match words {
            ["crt-base", folder, ..] => self.stores.crt_base = Some((*folder).to_owned()),
            ["key-base", folder, ..] => self.stores.key_base = Some((*folder).to_owned()),
            ["load", pairs @ ..] => self.load(pairs),
            _ => {}
        }
    }

    /// Adds the certificate of a `load` line.
    fn load(&mut self, words: &[&str]) {
        let value = |wanted| {
            let mut pairs = words.chunks(2).filter(|pair| pair[0] == wanted);
            pairs.next()?.get(1).copied()
        };
        let Some(file) = value("crt") else { return };
        let stores = &self.stores;
        let crt = match &stores.crt_base {
            Some(folder) => below(Some(folder), file),
            None => self.crt_path(file),
        };
        // In a section without a name, a certificate without an alias is named like its file.
        let name = match (value("alias"), stores.name.as_str()) {
            (None, "") => crt.clone(),
            (alias, store) => format!("@{store}/{}", alias.unwrap_or(file)),
        };
        let key_base = stores.key_base.as_ref().or(self.key_base.as_ref());
        let key = value("key").map(|key| below(key_base, key));
        let certificate = ClientCertificate { crt, key };
        self.stores.loaded.push((name, certificate));
    }
}

#[cfg(test)]
mod tests {
    use super::Global;

    #[test]
    fn a_certificate_of_a_store_has_the_name_that_haproxy_gives_it() {
        let mut global = Global::default();
        global.open_store(&["crt-store", "web"]);
        for line in [
            "crt-base /certs",
            "key-base /keys",
            "load crt a.pem",
            "load crt b.crt key b.key alias b",
        ] {
            global.read_store(&line.split(' ').collect::<Vec<_>>());
        }
        global.open_store(&["crt-store"]);
        global.read_store(&["load", "crt", "/c.crt", "key", "/c.key"]);
        for (name, crt, key) in [
            ("@web/a.pem", "/certs/a.pem", None),
            ("@web/b", "/certs/b.crt", Some("/keys/b.key")),
            ("/c.crt", "/c.crt", Some("/c.key")),
        ] {
            let found = global.stores.find(name);
            let found = found.map(|it| (it.crt.as_str(), it.key.as_deref()));
            assert_eq!(found, Some((crt, key)), "{name}");
        }
    }
}
