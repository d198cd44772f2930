//! Finds out what the kernel needs to start `external-check command`: only the program itself, a loader, or
//! an interpreter.

use std::fs::File;
use std::io::Read;

/// The kind of a program, read from its first bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Program {
    /// An ELF binary for this machine that needs no loader.
    Static,
    /// An ELF binary for this machine, and the loader that it needs.
    Dynamic(String),
    /// An ELF binary for another machine.
    Foreign,
    /// A script, and its interpreter.
    Script(String),
    /// Any other file. HAProxy's `execvp` passes it to `/bin/sh`.
    Unknown,
}

impl Program {
    /// Reads the kind of a file, or returns `None` if the file can't be read.
    pub(crate) fn read(file: &mut File) -> Option<Program> {
        // The program headers and the name of the loader are near the start.
        const ENOUGH: u64 = 64 << 10;
        let mut bytes = Vec::new();
        file.take(ENOUGH).read_to_end(&mut bytes).ok()?;
        Some(Program::of(&bytes))
    }

    fn of(bytes: &[u8]) -> Program {
        if let Some(script) = bytes.strip_prefix(b"#!") {
            let line = script.split(|byte| *byte == b'\n').next();
            let line = String::from_utf8_lossy(line.unwrap_or_default());
            // For the kernel, a carriage return is part of the interpreter's name, so keep it.
            let mut words = line.split([' ', '\t']).filter(|word| !word.is_empty());
            let interpreter = words.next().unwrap_or_default();
            return Program::Script(interpreter.to_owned());
        }
        if !bytes.starts_with(b"\x7fELF") {
            return Program::Unknown;
        }
        match (is_for_this_machine(bytes), loader(bytes)) {
            (false, _) => Program::Foreign,
            (true, Some(loader)) => Program::Dynamic(loader),
            (true, None) => Program::Static,
        }
    }
}

/// Returns true if this machine's kernel can run a binary with this byte order and machine (`EI_DATA` and
/// `e_machine`, elf(5)).
fn is_for_this_machine(bytes: &[u8]) -> bool {
    const I386: u16 = 3;
    const ARM: u16 = 40;
    const X86_64: u16 = 62;
    const AARCH64: u16 = 183;
    const RISCV: u16 = 243;
    let order = match cfg!(target_endian = "little") {
        true => 1,
        false => 2,
    };
    let machine = read(bytes, 18).map(u16::from_ne_bytes);
    let runs = match std::env::consts::ARCH {
        "x86_64" => [X86_64, I386],
        "aarch64" => [AARCH64, ARM],
        "arm" => [ARM, ARM],
        "riscv64" => [RISCV, RISCV],
        // doctor doesn't know which binaries other architectures can run, so it accepts every binary.
        _ => return true,
    };
    bytes.get(5) == Some(&order) && machine.is_some_and(|machine| runs.contains(&machine))
}

/// Returns the loader (`PT_INTERP`) of a binary: elf(5), `Elf32_Ehdr` to `Elf64_Phdr`.
fn loader(bytes: &[u8]) -> Option<String> {
    const CLASS_64: u8 = 2;
    const INTERP: u32 = 3;
    let is_64 = bytes.get(4) == Some(&CLASS_64);
    let place = |at| match is_64 {
        true => read(bytes, at).map(u64::from_ne_bytes),
        false => read(bytes, at).map(|four| u32::from_ne_bytes(four).into()),
    };
    // The positions of three fields: the offset of the program header table, the size of its entries (their
    // number follows), and the offset of a segment within an entry.
    let (table, sizes, offset) = match is_64 {
        true => (32, 54, 8),
        false => (28, 42, 4),
    };
    let table = place(table)?;
    let size = u16::from_ne_bytes(read(bytes, sizes)?);
    let count = u16::from_ne_bytes(read(bytes, sizes + 2)?);
    let headers = (0..u64::from(count)).map_while(|index| {
        let header = table.checked_add(index * u64::from(size))?;
        let kind = u32::from_ne_bytes(read(bytes, header)?);
        Some((kind, place(header.checked_add(offset)?)?))
    });
    let (_, offset) = headers.into_iter().find(|(kind, _)| *kind == INTERP)?;
    let name = bytes.get(usize::try_from(offset).ok()?..)?;
    let name = name.split(|byte| *byte == 0).next()?;
    Some(String::from_utf8_lossy(name).into_owned())
}

fn read<const N: usize>(bytes: &[u8], at: u64) -> Option<[u8; N]> {
    let at = usize::try_from(at).ok()?;
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::path::Path;

    use super::Program;

    fn program(path: &str) -> Option<Program> {
        Program::read(&mut File::open(path).expect("a file"))
    }

    #[test]
    fn a_dynamic_binary_names_its_loader() {
        let Some(Program::Dynamic(loader)) = program("/bin/sh") else {
            panic!("/bin/sh is a dynamic binary");
        };
        assert!(Path::new(&loader).exists(), "{loader}");
    }

    /// The binary is a 32-bit header, one program header, and the loader's name.
    #[test]
    fn a_32_bit_binary_names_its_loader() {
        let mut bytes = vec![0_u8; 52 + 32];
        bytes[..5].copy_from_slice(b"\x7fELF\x01");
        bytes[28] = 52;
        bytes[42] = 32;
        bytes[44] = 1;
        bytes[52] = 3;
        bytes[52 + 4] = 52 + 32;
        bytes.extend(b"/lib/ld.so\0");
        assert_eq!(super::loader(&bytes), Some("/lib/ld.so".to_owned()));
    }

    #[test]
    fn this_test_is_a_static_binary() {
        assert_eq!(program("/proc/self/exe"), Some(Program::Static));
    }

    #[test]
    fn scripts_name_their_interpreter() {
        let script = |text: &str| Program::of(text.as_bytes());
        for (text, expected) in [
            ("#!/bin/sh\n", "/bin/sh"),
            ("#! /usr/bin/env bash -e\nx", "/usr/bin/env"),
            ("#!", ""),
            ("#!/bin/sh\r\nexit 0\r\n", "/bin/sh\r"),
        ] {
            assert_eq!(script(text), Program::Script(expected.to_owned()));
        }
        assert_eq!(script("echo"), Program::Unknown);
    }

    #[test]
    fn a_damaged_binary_does_not_panic() {
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
