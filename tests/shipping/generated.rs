//! The manual and the completions are generated from the same definitions as `--help`.
//!
//! `UPDATE=1 cargo test --test shipping made_from` writes the files. Without UPDATE the test compares them.

mod completions;
mod manual;

use argh::{ArgsInfo, FlagInfo, FlagInfoKind};
use sni_check::diagnose::servers::ServersCall;
use sni_check::options::Options;

use crate::tools::root;

const UPDATE: &str = "UPDATE=1 cargo test --test shipping made_from";

fn flags() -> &'static [FlagInfo<'static>] {
    Options::get_args_info().flags
}

/// Returns the options of diagnose that apply only to servers of a haproxy.cfg.
fn of_servers() -> impl Iterator<Item = &'static FlagInfo<'static>> {
    let flags = ServersCall::get_args_info().flags.iter();
    flags.filter(|flag| ["--file", "--env"].contains(&flag.long))
}

/// Returns the name of an option's value as `--help` shows it, or `None` if the option has no
/// value.
fn value_name(flag: &FlagInfo<'static>) -> Option<&'static str> {
    match flag.kind {
        FlagInfoKind::Switch => None,
        FlagInfoKind::Option { arg_name } => Some(arg_name),
    }
}

#[track_caller]
pub fn assert_is_up_to_date(name: &str, text: &str) {
    let path = root().join(name);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, text).expect(name);
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == text, "{name} is out of date; run {UPDATE}");
}
