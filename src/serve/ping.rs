//! `sni-check serve --ping`: asks a running `sni-check serve` whether it works. Containers can use this
//! command as a probe.

use std::io;
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use anyhow::Result;

use super::address::ListenAddress;
use super::options::ServeOptions;
use crate::code::Code;
use crate::descriptor::exchange;
use crate::output::write::write_line;

/// The socket that the systemd units and the examples use.
const USUAL: &str = "unix:/run/sni-check/socket";
/// How long each step may take. A working serve answers immediately.
const STEP: Duration = Duration::from_secs(1);

/// Asks serve at the first address of `--listen`. The code is 0 only if serve answers with status 200.
///
/// # Errors
///
/// The value of `--listen` isn't an address.
pub(super) fn run(options: &ServeOptions) -> Result<Code> {
    let address = options.listen.first().map_or(USUAL, String::as_str);
    let address = ListenAddress::parse(address)?;
    let error = match ask(&address) {
        Ok(answer) if answer.starts_with("HTTP/1.1 200 ") => return Ok(Code::Healthy),
        Ok(answer) => format!("answers {:?}", answer.lines().next().unwrap_or_default()),
        Err(error) => format!(
            "does not answer: {error}; start sni-check serve, or name its address with --listen"
        ),
    };
    write_line(
        io::stderr(),
        &format!("sni-check serve --ping: {address} {error}"),
    );
    Ok(Code::Unreachable)
}

fn ask(address: &ListenAddress) -> io::Result<String> {
    let stream: OwnedFd = match address {
        ListenAddress::Unix(path) => UnixStream::connect(path)?.into(),
        ListenAddress::Tcp(address) => TcpStream::connect_timeout(address, STEP)?.into(),
    };
    let request = "GET /-/healthy HTTP/1.1\r\nHost: localhost\r\n\r\n";
    exchange(stream, request, STEP, 1 << 10)
}
