//! Panics as the program would, for the test of what comes of it.

fn main() {
    sni_check::exit_on_panic();
    panic!("on purpose");
}
