//! The program; see the library for everything.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(sni_check::run().number())
}
