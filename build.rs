//! Leaves out of the released program what only unwinding would read, a twelfth of it: there a
//! panic ends the process (`panic = "abort"`).
#![allow(clippy::print_stdout, reason = "that is how cargo is told")]

use std::{env, fs, io};

/// An addition to the linker's own script. The C runtime's objects name their share of the tables,
/// which is empty; so that stays.
const LINKER_SCRIPT: &str = "
SECTIONS
{
  /DISCARD/ :
  {
    *(EXCLUDE_FILE(*crtbegin*.o *crtend*.o) .eh_frame)
    *(.gcc_except_table .gcc_except_table.*)
  }
}
INSERT BEFORE .text;
";

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    let is = |variable: &str, value: &str| env::var(variable).is_ok_and(|found| found == value);
    if is("PROFILE", "release") && is("CARGO_CFG_TARGET_OS", "linux") {
        let folder = env::var("OUT_DIR").map_err(io::Error::other)?;
        let script = format!("{folder}/no-unwinding.ld");
        fs::write(&script, LINKER_SCRIPT)?;
        println!("cargo::rustc-link-arg-bins=-Wl,-T,{script}");
    }
    Ok(())
}
