//! A static process that does nothing. It shows what fork, exec and exit cost.

fn main() {}
