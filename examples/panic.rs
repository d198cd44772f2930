//! Panics with the program's panic hook. A test looks at the exit code and the message.

fn main() {
    sni_check::exit_on_panic();
    panic!("on purpose");
}
