//! What `--help` prints.

use argh::FromArgs;

use crate::command::Command;
use crate::options::Options;
use crate::output::wrap::paragraph;
use crate::{diagnose, doctor, explain, serve};

/// The `--help` of a command; the other commands are added to that of a check.
pub(crate) fn of(command: Command) -> String {
    let about = match command {
        Command::Check => &(folded(&check()) + &commands()),
        Command::Diagnose => diagnose::HELP,
        Command::Doctor => &doctor::help(),
        Command::Explain => explain::HELP,
        Command::Serve => &serve::help(),
    };
    let words = ["sni-check", command.name(), command.arguments()];
    let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
    format!("Usage: {}\n\n{about}", words.join(" "))
}

fn check() -> String {
    let help = Options::from_args(&["sni-check"], &["--help"]);
    help.err().map(|exit| exit.output).unwrap_or_default()
}

/// argh's text without its first line, which has every option in it, and with what follows wrapped.
fn folded(options: &str) -> String {
    let (_usage, text) = options.split_once("\n\n").unwrap_or_default();
    let (about, list) = text.split_once("\n\n").unwrap_or((text, ""));
    let mut folded = String::new();
    paragraph(&mut folded, "", about);
    folded + "\n" + list
}

/// The named commands, as a section.
fn commands() -> String {
    let mut text = "\nCommands:\n".to_owned();
    for command in Command::NAMED {
        let label = format!("  {:<18}", command.name());
        paragraph(&mut text, &label, command.purpose());
    }
    text
}
