//! The text of `--help`, made from the definitions of the options and from the table of options.

use argh::{ArgsInfo, CommandInfoWithArgs, FlagInfo, FlagInfoKind};

use crate::command::Command;
use crate::diagnose::servers::ServersCall;
use crate::doctor::DoctorOptions;
use crate::options::Options;
use crate::options::table::{Group, row};
use crate::output::wrap::paragraph;
use crate::serve::ServeOptions;
use crate::{diagnose, explain};

/// The column in which the descriptions begin.
const COLUMN: usize = 25;

/// Returns the `--help` text of a command.
pub(crate) fn of(command: Command) -> String {
    let words = ["sni-check", command.name(), command.arguments()];
    let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
    let mut text = format!("Usage: {}\n\n", words.join(" "));
    match command {
        Command::Check => check(&mut text),
        Command::Diagnose => diagnose(&mut text),
        Command::Doctor => whole(&mut text, command, &DoctorOptions::get_args_info()),
        Command::Serve => whole(&mut text, command, &ServeOptions::get_args_info()),
        Command::Explain => text += explain::HELP,
    }
    text
}

/// Appends the options of a check by group, and the other commands.
fn check(text: &mut String) {
    let info = Options::get_args_info();
    paragraph(text, "", info.description);
    for group in Group::ALL {
        let is_in = |flag: &&FlagInfo<'_>| {
            row(flag.long).is_some_and(|row| row.group == group && row.is_for(Command::Check))
        };
        section(text, group.title(), info.flags.iter().filter(is_in));
    }
    help_itself(text);
    *text += "\nCommands:\n";
    for command in Command::NAMED {
        let label = format!("{:<COLUMN$}", format!("  {}", command.name()));
        paragraph(text, &label, command.purpose());
    }
    examples_and_notes(text, Command::Check, &info);
}

/// Appends the text about diagnose. Its list of options contains `--json` and the options that a check
/// doesn't accept.
fn diagnose(text: &mut String) {
    let (about, examples) = diagnose::HELP.split_once("\nExamples:").unwrap_or_default();
    *text += about;
    let of_servers = ServersCall::get_args_info().flags.iter();
    let of_servers = of_servers.filter(|flag| ["--file", "--env"].contains(&flag.long));
    let flags = Options::get_args_info().flags.iter();
    let own = flags.filter(|flag| {
        let row = row(flag.long);
        row.is_some_and(|row| row.commands == [Command::Diagnose] || row.name == "--json")
    });
    section(text, "Options", of_servers.chain(own));
    help_itself(text);
    *text += "\nExamples:";
    *text += examples;
}

fn whole(text: &mut String, command: Command, info: &CommandInfoWithArgs) {
    paragraph(text, "", info.description);
    let flags = info.flags.iter().filter(|flag| flag.long != "--help");
    section(text, "Options", flags);
    help_itself(text);
    examples_and_notes(text, command, info);
}

fn section<'a>(text: &mut String, title: &str, flags: impl Iterator<Item = &'a FlagInfo<'static>>) {
    *text += &format!("\n{title}:\n");
    for flag in flags {
        let label = label(flag);
        // At least two spaces must separate the label from the description. Otherwise, the description begins
        // on the next line.
        let label = match label.chars().count() + 1 < COLUMN {
            true => format!("{label:<COLUMN$}"),
            false => {
                *text += &label;
                text.push('\n');
                " ".repeat(COLUMN)
            }
        };
        paragraph(text, &label, flag.description);
    }
}

/// Appends `--help`, which comes last in a list of options.
fn help_itself(text: &mut String) {
    *text += &format!("{:<COLUMN$}print this help\n", "  -h, --help");
}

/// Returns an option with the name of its value, such as `  --port N`.
fn label(flag: &FlagInfo<'_>) -> String {
    let short = flag.short.map(|letter| format!("-{letter}, "));
    let value = match flag.kind {
        FlagInfoKind::Switch => String::new(),
        FlagInfoKind::Option { arg_name } => format!(" {arg_name}"),
    };
    format!("  {}{}{value}", short.unwrap_or_default(), flag.long)
}

fn examples_and_notes(text: &mut String, command: Command, info: &CommandInfoWithArgs) {
    let program = format!("sni-check {}", command.name());
    *text += "\nExamples:\n";
    for example in info.examples {
        let example = example.replace("{command_name}", program.trim_end());
        *text += &format!("  {example}\n");
    }
    for note in info.notes {
        *text += &format!("\n{note}\n");
    }
}

#[cfg(test)]
mod tests {
    use argh::{ArgsInfo, FlagInfo};

    use super::{DoctorOptions, Options, ServeOptions, ServersCall};
    use crate::options::familiar::OWN;

    #[test]
    fn options_of_one_command_are_known_to_the_others() {
        let long = |flags: &'static [FlagInfo<'static>]| flags.iter().map(|flag| flag.long);
        let shared = long(Options::get_args_info().flags);
        let shared = shared.chain(long(ServersCall::get_args_info().flags));
        let shared: Vec<&str> = shared.collect();
        let own = [
            ServeOptions::get_args_info().flags,
            DoctorOptions::get_args_info().flags,
        ];
        let own = own.map(|flags| {
            let own = long(flags).filter(|flag| !shared.contains(flag));
            own.collect::<Vec<_>>()
        });
        assert_eq!(own, [OWN[0].1, OWN[1].1]);
    }
}
