//! PEM files (RFC 7468), read as OpenSSL reads them, because HAProxy accepts what OpenSSL accepts.

use std::ops::Range;

use std::sync::Arc;

use anyhow::Result;
use memchr::memmem;
use rustls::pki_types::pem::{Error, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::files::Files;
use crate::refusal::{SET_THE_VARIABLE, refusal};

/// A section of a PEM file.
#[derive(Clone, Copy, Debug)]
struct Section<'a> {
    label: &'a str,
    /// The lines between BEGIN and END.
    body: &'a str,
    /// The position of these lines in the file.
    place: usize,
}

/// A certificate of a PEM file.
#[derive(Debug)]
pub(super) struct Certificate {
    /// The DER of the certificate, and of the trust settings that may follow it.
    pub der: CertificateDer<'static>,
    /// True for OpenSSL's own form (`TRUSTED CERTIFICATE`), in which trust settings may follow.
    pub trusted: bool,
}

/// Returns all certificates of a file, in every PEM form that OpenSSL supports.
pub(super) fn certificates(subject: &str, text: &[u8]) -> Result<Vec<Certificate>> {
    let labels = ["CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE"];
    let sections = sections(subject, text, &labels)?;
    let decoded = sections.iter().map(|section| {
        let mut der = section.body.as_bytes().to_vec();
        let body = 0..der.len();
        let end = decode_in_place(subject, &mut der, body, 0)?;
        der.truncate(end);
        Ok(Certificate {
            der: der.into(),
            trusted: section.label == "TRUSTED CERTIFICATE",
        })
    });
    decoded.collect()
}

/// Returns the DER of all revocation lists of a file, and the position of each list. The lists are
/// decoded in place, because serve may not have enough memory for both the text and the DER. The
/// text isn't needed afterwards.
pub(super) fn lists(subject: &str, mut text: Vec<u8>) -> Result<(Vec<u8>, Vec<Range<usize>>)> {
    let sections = sections(subject, &text, &["X509 CRL"])?;
    let bodies: Vec<Range<usize>> = sections
        .iter()
        .map(|section| section.place..section.place + section.body.len())
        .collect();
    let mut places = Vec::new();
    let mut end = 0;
    for body in bodies {
        let start = end;
        end = decode_in_place(subject, &mut text, body, start)?;
        places.push(start..end);
    }
    text.truncate(end);
    text.shrink_to_fit();
    Ok((text, places))
}

/// Decodes the base64 (RFC 4648, section 4) in `body` and writes the result into the same buffer, from `end`
/// on. `end` must not be after the start of `body`. Returns the position where the result ends.
fn decode_in_place(
    subject: &str,
    text: &mut [u8],
    body: Range<usize>,
    mut end: usize,
) -> Result<usize> {
    let broken = |what| not_pem(subject, what);
    let (mut bits, mut digits, mut padding, mut in_line) = (0_u32, 0_usize, 0_usize, false);
    for place in body {
        let byte = text[place];
        let digit = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'=' => {
                padding += 1;
                continue;
            }
            b'\n' if !in_line => return Err(broken("a section has an empty line")),
            b'\n' => {
                in_line = false;
                continue;
            }
            b' ' | b'\t' | b'\r' => continue,
            _ => return Err(broken("a section is not base64")),
        };
        in_line = true;
        if padding > 0 {
            return Err(broken("a section is not base64"));
        }
        bits = bits << 6 | u32::from(digit);
        digits += 1;
        if digits % 4 == 0 {
            text[end..end + 3].copy_from_slice(&bits.to_be_bytes()[1..]);
            end += 3;
        }
    }
    // The last group may have only two or three digits.
    match (digits % 4, padding) {
        (0, 0) if digits > 0 => {}
        (2, 2) => {
            text[end] = (bits >> 4) as u8;
            end += 1;
        }
        (3, 1) => {
            text[end..end + 2].copy_from_slice(&((bits >> 2) as u16).to_be_bytes());
            end += 2;
        }
        _ => return Err(broken("a section is empty or broken")),
    }
    Ok(end)
}

/// Returns true if the text contains the first or last line of a private key.
pub fn names_private_key(text: &[u8]) -> bool {
    memmem::find(text, b"PRIVATE KEY-----").is_some()
}

/// Returns the first private key of a file, or `None` if the file has no private key.
pub(super) fn key(subject: &str, text: &[u8]) -> Result<Option<PrivateKeyDer<'static>>> {
    let labels = ["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"];
    let sections = sections(subject, text, &labels)?;
    let first = sections.first();
    first
        .map(|section| decode_key(subject, section))
        .transpose()
}

/// Reads a file that must be PEM.
pub(super) fn read(files: &Files, option: &str, file: &str) -> Result<Vec<u8>> {
    files.read(&subject(option, file)?, file)
}

/// Returns the subject of a refusal. Refuses an empty value.
fn subject(option: &str, file: &str) -> Result<String> {
    match file {
        "" => Err(refusal(option, "is empty", SET_THE_VARIABLE)),
        file => Ok(format!("{option} {file}")),
    }
}

/// Returns the result of `parse` for a file that must be PEM. If checks share their files, keeps the result.
pub(super) fn parsed<T: Send + Sync + 'static>(
    files: &Files,
    option: &str,
    file: &str,
    parse: impl FnOnce(&str, Vec<u8>) -> Result<T>,
) -> Result<Arc<T>> {
    let subject = subject(option, file)?;
    files.parsed(&subject, file, |text| parse(&subject, text))
}

/// Returns the sections that have one of these labels.
fn sections<'a>(subject: &str, text: &'a [u8], labels: &[&str]) -> Result<Vec<Section<'a>>> {
    let broken = |what| not_pem(subject, what);
    // The text around the sections may have any encoding.
    let mut sections = Vec::new();
    let mut rest = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    if memchr::memchr(0, rest).is_some() {
        return Err(broken("it has bytes that are not text"));
    }
    while !rest.is_empty() {
        let (line, after) = first_line(rest);
        rest = after;
        let Some(label) = marked(line, b"-----BEGIN ") else {
            continue;
        };
        let start = rest;
        let place = text.len() - start.len();
        let length = loop {
            if rest.is_empty() {
                return Err(broken("a section has no END line"));
            }
            let length = start.len() - rest.len();
            let (line, after) = first_line(rest);
            rest = after;
            match marked(line, b"-----END ") {
                Some(end) if end == label => break length,
                Some(_) => return Err(broken("an END line doesn't match its BEGIN line")),
                None => {}
            }
        };
        let (Ok(label), Ok(body)) = (
            std::str::from_utf8(label),
            std::str::from_utf8(&start[..length]),
        ) else {
            return Err(broken("a section has bytes that are not text"));
        };
        if labels.contains(&label) {
            sections.push(Section { label, body, place });
        }
    }
    Ok(sections)
}

const WRITE: &str = "write the file in the form that `openssl x509 -in FILE` prints";

/// Returns the first line without trailing white space, and the text after it.
fn first_line(text: &[u8]) -> (&[u8], &[u8]) {
    let end = memchr::memchr(b'\n', text);
    let (line, rest) = match end {
        Some(end) => (&text[..end], &text[end + 1..]),
        None => (text, &[][..]),
    };
    (line.trim_ascii_end(), rest)
}

fn marked<'a>(line: &'a [u8], begin: &[u8]) -> Option<&'a [u8]> {
    line.strip_prefix(begin)?.strip_suffix(b"-----")
}

/// Decodes a key, in a time that doesn't depend on its bits. The refusal shows nothing of the file.
fn decode_key(subject: &str, section: &Section<'_>) -> Result<PrivateKeyDer<'static>> {
    let label = section.label;
    let mut text = format!("-----BEGIN {label}-----\n");
    for line in section.body.lines().map(str::trim_end) {
        if line.is_empty() {
            return Err(not_pem(subject, "a section has an empty line"));
        }
        text.extend([line, "\n"]);
    }
    text += &format!("-----END {label}-----\n");
    PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|error| {
        not_pem(
            subject,
            match error {
                Error::Base64Decode(_) => "a section is not base64",
                _ => "a section is empty or broken",
            },
        )
    })
}

fn not_pem(subject: &str, what: &str) -> anyhow::Error {
    refusal(subject, format!("is not PEM: {what}"), WRITE)
}

#[cfg(test)]
mod tests {
    use super::{certificates, key, lists};

    const BODY: &str = "AAAA";

    fn number(text: &str) -> Result<usize, String> {
        let found = certificates("--ca-file x", text.as_bytes());
        found
            .map(|found| found.len())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn every_pem_label_of_a_certificate_is_accepted() {
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
    fn lists_are_decoded_in_place() {
        let decoded = |bodies: &[&str]| {
            let section = |body: &&str| {
                format!("# x\n-----BEGIN X509 CRL-----\n{body}\n-----END X509 CRL-----\n")
            };
            let text: String = bodies.iter().map(section).collect();
            let (bytes, places) = lists("--crl-file x", text.into_bytes()).ok()?;
            let places = places.into_iter();
            Some(
                places
                    .map(|place| bytes[place].to_vec())
                    .collect::<Vec<_>>(),
            )
        };
        assert_eq!(
            decoded(&["aGVsbG8=", "aGk=", "Zm9v\nYmFy", "Zm8=\r"]),
            Some(vec![
                b"hello".to_vec(),
                b"hi".to_vec(),
                b"foobar".to_vec(),
                b"fo".to_vec()
            ])
        );
        assert_eq!(decoded(&["Zg=="]), Some(vec![b"f".to_vec()]));
        for broken in [
            "Zg=",
            "Zg",
            "",
            "Z=g=",
            "Zm9v\n\nYmFy",
            "Zm9v=",
            "Zm-v",
            "Zg==Zg==",
        ] {
            assert_eq!(decoded(&[broken]), None, "{broken}");
        }
    }

    #[test]
    fn refusals_show_nothing_of_the_file() {
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
