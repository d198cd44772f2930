//! Builds elements of DER, such as names and times.

/// Returns one element of DER.
pub fn tlv(tag: u8, content: &[&[u8]]) -> Vec<u8> {
    let content = content.concat();
    let length = content.len();
    let mut out = vec![tag];
    match length {
        0..0x80 => out.push(length as u8),
        0x80..0x100 => out.extend([0x81, length as u8]),
        0x100..0x1_0000 => out.extend([0x82, (length >> 8) as u8, length as u8]),
        _ => out.extend([
            0x83,
            (length >> 16) as u8,
            (length >> 8) as u8,
            length as u8,
        ]),
    }
    out.extend(content);
    out
}

pub const SEQUENCE: u8 = 0x30;
pub const SET: u8 = 0x31;
pub const OCTETS: u8 = 4;
pub const UTF8: u8 = 12;
pub const PRINTABLE: u8 = 19;
pub const TELETEX: u8 = 20;
pub const IA5: u8 = 22;
pub const UNIVERSAL: u8 = 28;
pub const BMP: u8 = 30;

pub fn oid(dotted: &str) -> Vec<u8> {
    let mut arcs = dotted
        .split('.')
        .map(|arc| arc.parse::<u32>().expect("a number"));
    let first = arcs.next().expect("an arc") * 40 + arcs.next().expect("an arc");
    let mut content = Vec::new();
    for arc in std::iter::once(first).chain(arcs) {
        let mut bytes = vec![(arc & 0x7f) as u8];
        let mut rest = arc >> 7;
        while rest > 0 {
            bytes.push((rest & 0x7f) as u8 | 0x80);
            rest >>= 7;
        }
        content.extend(bytes.iter().rev());
    }
    tlv(6, &[&content])
}

/// Returns a distinguished name of these attributes: OID, string type, bytes.
pub fn name(attributes: &[(&str, u8, &[u8])]) -> Vec<u8> {
    let parts: Vec<Vec<u8>> = attributes
        .iter()
        .map(|(attribute, tag, text)| {
            let pair = tlv(SEQUENCE, &[&oid(attribute), &tlv(*tag, &[text])]);
            tlv(SET, &[&pair])
        })
        .collect();
    tlv(SEQUENCE, &[&parts.concat()])
}

pub const CN: &str = "2.5.4.3";
pub const O: &str = "2.5.4.10";

/// Returns a name with only a common name.
pub fn cn(text: &str) -> Vec<u8> {
    name(&[(CN, UTF8, text.as_bytes())])
}

/// Encodes text as the content of a BMPString.
pub fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_be_bytes).collect()
}

/// Encodes text as the content of a UniversalString.
pub fn utf32(text: &str) -> Vec<u8> {
    text.chars()
        .flat_map(|c| u32::from(c).to_be_bytes())
        .collect()
}

/// Returns the time this number of days from now, as UTCTime.
pub fn days(from_now: i64) -> Vec<u8> {
    let time = time::OffsetDateTime::now_utc() + time::Duration::days(from_now);
    let text = format!(
        "{:02}{:02}{:02}{:02}{:02}{:02}Z",
        time.year() % 100,
        u8::from(time.month()),
        time.day(),
        time.hour(),
        time.minute(),
        time.second()
    );
    tlv(23, &[text.as_bytes()])
}

/// Returns a GeneralizedTime.
pub fn generalized(text: &str) -> Vec<u8> {
    tlv(24, &[text.as_bytes()])
}
