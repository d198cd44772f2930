//! PEM files (RFC 7468), read as OpenSSL reads them: HAProxy takes what it takes.

use anyhow::Result;
use rustls::pki_types::pem::{Error, PemObject};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};

use super::files::Files;
use crate::refusal::{SET_THE_VARIABLE, refusal};

/// A section of a PEM file.
#[derive(Clone, Copy, Debug)]
struct Section<'a> {
    label: &'a str,
    /// All of it.
    whole: &'a [u8],
    /// Its lines, without those of BEGIN and END.
    body: &'a str,
    /// Whether there is no white space but the ends of lines.
    plain: bool,
}

/// A certificate of a PEM file.
#[derive(Debug)]
pub(super) struct Certificate {
    /// What follows it, too, in OpenSSL's own form.
    pub der: CertificateDer<'static>,
    /// OpenSSL's own form: what it is trusted for may follow.
    pub trusted: bool,
}

/// All certificates of a file, in each form that OpenSSL has.
pub(super) fn certificates(subject: &str, text: &[u8]) -> Result<Vec<Certificate>> {
    let labels = ["CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE"];
    let sections = sections(subject, text, &labels)?;
    let decoded = sections.iter().map(|section| {
        let der = decode::<CertificateDer<'_>>(subject, "CERTIFICATE", section)?;
        let trusted = section.label == "TRUSTED CERTIFICATE";
        Ok(Certificate { der, trusted })
    });
    decoded.collect()
}

/// All revocation lists of a file.
pub(super) fn lists(
    subject: &str,
    text: &[u8],
) -> Result<Vec<CertificateRevocationListDer<'static>>> {
    let sections = sections(subject, text, &["X509 CRL"])?;
    let decoded = sections
        .iter()
        .map(|section| decode(subject, "X509 CRL", section));
    decoded.collect()
}

/// The first private key of a file.
pub(super) fn key(subject: &str, text: &[u8]) -> Result<Option<PrivateKeyDer<'static>>> {
    let labels = ["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"];
    let sections = sections(subject, text, &labels)?;
    let first = sections.first();
    first
        .map(|section| decode(subject, section.label, section))
        .transpose()
}

/// Reads a file that is to be PEM.
pub(super) fn read(files: &Files, option: &str, file: &str) -> Result<Vec<u8>> {
    if file.is_empty() {
        return Err(refusal(option, "is empty", SET_THE_VARIABLE));
    }
    files.read(&format!("{option} {file}"), file)
}

/// The sections with one of these labels.
fn sections<'a>(subject: &str, text: &'a [u8], labels: &[&str]) -> Result<Vec<Section<'a>>> {
    let broken = |what: &str| refusal(subject, format!("is not PEM: {what}"), WRITE);
    // What is around the sections may be in any encoding.
    let mut sections = Vec::new();
    let mut rest = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    if rest.contains(&0) {
        return Err(broken("it has bytes that are not text"));
    }
    while !rest.is_empty() {
        let (whole, (line, after)) = (rest, first_line(rest));
        rest = after;
        let Some(label) = marked(line, b"-----BEGIN ") else {
            continue;
        };
        let start = rest;
        let mut plain = true;
        let length = loop {
            if rest.is_empty() {
                return Err(broken("a section has no END line"));
            }
            let length = start.len() - rest.len();
            let (line, after) = first_line(rest);
            rest = after;
            match marked(line, b"-----END ") {
                Some(end) if end == label => break length,
                Some(_) => return Err(broken("an END line is another section's")),
                None => {
                    plain &= !line.is_empty() && length + line.len() + 1 == start.len() - rest.len()
                }
            }
        };
        let (Ok(label), Ok(body)) = (
            std::str::from_utf8(label),
            std::str::from_utf8(&start[..length]),
        ) else {
            return Err(broken("a section has bytes that are not text"));
        };
        if labels.contains(&label) {
            let whole = &whole[..whole.len() - rest.len()];
            sections.push(Section {
                label,
                whole,
                body,
                plain,
            });
        }
    }
    Ok(sections)
}

const WRITE: &str = "give it as `openssl x509 -in FILE` prints it";

/// The first line, without the white space at its end, and what follows it.
fn first_line(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| *byte == b'\n');
    let (line, rest) = match end {
        Some(end) => (&text[..end], &text[end + 1..]),
        None => (text, &[][..]),
    };
    (line.trim_ascii_end(), rest)
}

fn marked<'a>(line: &'a [u8], begin: &[u8]) -> Option<&'a [u8]> {
    line.strip_prefix(begin)?.strip_suffix(b"-----")
}

/// Decodes a section. The refusal holds nothing of the file, which may hold a key.
fn decode<T: PemObject>(subject: &str, label: &str, section: &Section<'_>) -> Result<T> {
    let broken = |what: &str| refusal(subject, format!("is not PEM: {what}"), WRITE);
    if section.plain && section.label == label {
        return T::from_pem_slice(section.whole).map_err(|error| broken(cause(&error)));
    }
    let mut text = format!("-----BEGIN {label}-----\n");
    for line in section.body.lines() {
        let line = line.trim_end();
        if line.is_empty() {
            return Err(broken("a section has an empty line"));
        }
        text.extend([line, "\n"]);
    }
    text += &format!("-----END {label}-----\n");
    T::from_pem_slice(text.as_bytes()).map_err(|error| broken(cause(&error)))
}

fn cause(error: &Error) -> &'static str {
    match error {
        Error::Base64Decode(_) => "a section is not base64",
        _ => "a section is empty or broken",
    }
}

#[cfg(test)]
mod tests {
    use super::{certificates, key};

    const BODY: &str = "AAAA";

    fn number(text: &str) -> Result<usize, String> {
        let found = certificates("--ca-file x", text.as_bytes());
        found
            .map(|found| found.len())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn each_form_of_a_certificate_is_one() {
        for label in ["CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE"] {
            let text = format!("-----BEGIN {label}-----\n{BODY}\n-----END {label}-----\n");
            for text in [
                text.clone(),
                format!("\u{feff}{text}"),
                text.replace('\n', "\r\n"),
                text.replace('\n', "\t\n"),
                format!("# a comment\n{text}"),
                text.trim_end().to_owned(),
            ] {
                assert_eq!(number(&text), Ok(1), "{text:?}");
            }
            assert_eq!(number(&text.replace('\n', "\n\n")).ok(), None);
            assert_eq!(number(&format!(" {text}")), Ok(0));
        }
    }

    #[test]
    fn refusals_hold_nothing_of_the_file() {
        for text in [
            "-----BEGIN PRIVATE KEY-----\nsecret!\n-----END PRIVATE KEY-----\n",
            "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n",
            "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END secret-----\n",
        ] {
            let error = key("--key x", text.as_bytes())
                .expect_err("no key")
                .to_string();
            assert!(
                !error.contains("secret") && !error.contains("115"),
                "{error}"
            );
        }
    }
}
