//! What kind of program `external-check command` is: what the kernel needs to start it.

use std::fs::File;
use std::io::Read;
use std::path::Path;

/// A program, by its first bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Program {
    /// An ELF binary for this machine.
    Elf {
        /// The dynamic loader; `None` for a static binary.
        loader: Option<String>,
        /// The libraries that it loads.
        libraries: Vec<String>,
    },
    /// An ELF binary for another machine.
    Foreign,
    /// A script, and its interpreter.
    Script(String),
    /// Anything else: HAProxy's `execvp` hands it to `/bin/sh`.
    Unknown,
}

impl Program {
    /// Looks at a file; `None` if it cannot be read.
    pub(super) fn read(path: &Path) -> Option<Program> {
        let mut bytes = Vec::new();
        // The tables of a dynamic binary lie near its begin; sections for debugging do not matter.
        const ENOUGH: u64 = 64 << 20;
        File::open(path)
            .ok()?
            .take(ENOUGH)
            .read_to_end(&mut bytes)
            .ok()?;
        Some(Program::of(&bytes))
    }

    fn of(bytes: &[u8]) -> Program {
        if let Some(script) = bytes.strip_prefix(b"#!") {
            let line = script
                .split(|byte| *byte == b'\n')
                .next()
                .unwrap_or_default();
            let line = String::from_utf8_lossy(line);
            let interpreter = line.split_whitespace().next().unwrap_or_default();
            return Program::Script(interpreter.to_owned());
        }
        if !bytes.starts_with(b"\x7fELF") {
            return Program::Unknown;
        }
        if machine(bytes).is_none() || machine(bytes) != own_machine() {
            return Program::Foreign;
        }
        let elf = Elf(bytes);
        let loader = elf.segments(INTERP).next();
        let loader = loader.and_then(|segment| elf.text(segment.offset));
        let libraries = elf.libraries().unwrap_or_default();
        Program::Elf { loader, libraries }
    }
}

/// Class, byte order and machine: `e_ident[4..6]` and `e_machine` (elf(5)).
fn machine(bytes: &[u8]) -> Option<[u8; 4]> {
    let (ident, machine) = (bytes.get(4..6)?, bytes.get(18..20)?);
    Some([ident[0], ident[1], machine[0], machine[1]])
}

fn own_machine() -> Option<[u8; 4]> {
    let mut head = [0; 20];
    File::open("/proc/self/exe")
        .ok()?
        .read_exact(&mut head)
        .ok()?;
    machine(&head)
}

const LOAD: u32 = 1;
const DYNAMIC: u32 = 2;
const INTERP: u32 = 3;

/// An ELF file of this machine's kind: 64 bits, in this machine's byte order (elf(5)).
struct Elf<'a>(&'a [u8]);

/// A segment of a program: where it is in the file and in memory.
struct Segment {
    kind: u32,
    offset: u64,
    address: u64,
    size: u64,
}

impl Elf<'_> {
    fn bytes<const N: usize>(&self, at: u64) -> Option<[u8; N]> {
        let at = usize::try_from(at).ok()?;
        self.0.get(at..at.checked_add(N)?)?.try_into().ok()
    }

    fn u64(&self, at: u64) -> Option<u64> {
        self.bytes(at).map(u64::from_ne_bytes)
    }

    fn segments(&self, kind: u32) -> impl Iterator<Item = Segment> {
        let table = self.u64(32);
        let size = self.bytes(54).map(u16::from_ne_bytes);
        let count = self.bytes(56).map(u16::from_ne_bytes).unwrap_or_default();
        (0..u64::from(count)).filter_map(move |index| {
            let at = table?.checked_add(index * u64::from(size?))?;
            let segment = Segment {
                kind: u32::from_ne_bytes(self.bytes(at)?),
                offset: self.u64(at.checked_add(8)?)?,
                address: self.u64(at.checked_add(16)?)?,
                size: self.u64(at.checked_add(32)?)?,
            };
            (segment.kind == kind).then_some(segment)
        })
    }

    /// A text that ends in a zero byte.
    fn text(&self, at: u64) -> Option<String> {
        let bytes = self.0.get(usize::try_from(at).ok()?..)?;
        let text = bytes.split(|byte| *byte == 0).next()?;
        Some(String::from_utf8_lossy(text).into_owned())
    }

    /// Where in the file something in memory comes from.
    fn offset(&self, address: u64) -> Option<u64> {
        self.segments(LOAD).find_map(|segment| {
            let within = address.checked_sub(segment.address)?;
            (within < segment.size).then_some(segment.offset.checked_add(within)?)
        })
    }

    /// The names of the libraries it needs.
    fn libraries(&self) -> Option<Vec<String>> {
        const NEEDED: u64 = 1;
        const STRINGS: u64 = 5;
        let dynamic = self.segments(DYNAMIC).next()?;
        let entries = (0..dynamic.size / 16).map_while(|index| {
            let at = dynamic.offset.checked_add(index * 16)?;
            Some((self.u64(at)?, self.u64(at + 8)?)).filter(|(tag, _)| *tag != 0)
        });
        let entries: Vec<(u64, u64)> = entries.collect();
        let (_, strings) = entries.iter().find(|(tag, _)| *tag == STRINGS)?;
        let strings = self.offset(*strings)?;
        let needed = entries.iter().filter(|(tag, _)| *tag == NEEDED);
        needed
            .map(|(_, name)| self.text(strings.checked_add(*name)?))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::Program;
    use std::path::Path;

    #[test]
    fn a_dynamic_binary_names_its_loader_and_its_libraries() {
        let Some(Program::Elf { loader, libraries }) = Program::read(Path::new("/bin/sh")) else {
            panic!("/bin/sh is an ELF binary");
        };
        let loader = loader.expect("a loader");
        assert!(Path::new(&loader).exists(), "{loader}");
        assert!(libraries.iter().any(|name| name.starts_with("libc.")));
    }

    #[test]
    fn this_test_is_a_static_binary() {
        let expected = Program::Elf {
            loader: None,
            libraries: Vec::new(),
        };
        assert_eq!(Program::read(Path::new("/proc/self/exe")), Some(expected));
    }

    #[test]
    fn scripts_name_their_interpreter() {
        let script = |text: &str| Program::of(text.as_bytes());
        for (text, expected) in [
            ("#!/bin/sh\n", "/bin/sh"),
            ("#! /usr/bin/env bash -e\nx", "/usr/bin/env"),
            ("#!", ""),
        ] {
            assert_eq!(script(text), Program::Script(expected.to_owned()));
        }
        assert_eq!(script("echo"), Program::Unknown);
    }

    #[test]
    fn a_damaged_binary_is_no_panic() {
        let whole = std::fs::read("/bin/sh").expect("bytes");
        for length in [4, 19, 20, 40, 64, 100, 200, 1000, 4000] {
            Program::of(&whole[..length]);
        }
        let mut huge = whole[..4000].to_vec();
        huge[32..40].fill(0xff);
        Program::of(&huge);
        let mut foreign = whole[..64].to_vec();
        foreign[18] ^= 0xff;
        assert_eq!(Program::of(&foreign), Program::Foreign);
    }
}
