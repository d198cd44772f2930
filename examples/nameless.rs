//! Runs a program without any argument, not even its own name, as a careless caller of `execve` may do.

use std::ffi::CString;

fn main() {
    let program = std::env::args().nth(1).unwrap_or_default();
    let program = CString::new(program).unwrap_or_default();
    let nothing: [CString; 0] = [];
    let _ = nix::unistd::execve(&program, &nothing, &nothing);
}
