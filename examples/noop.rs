//! A process that does nothing, as static as sni-check: what fork, exec and exit cost by themselves.

fn main() {}
