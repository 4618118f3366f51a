//! Reading a command line, for both programs.

use std::any::TypeId;
use std::ffi::OsString;
use std::process::ExitCode;

use clap::builder::NonEmptyStringValueParser;
use clap::error::ErrorKind;
use clap::{Arg, ArgMatches, Command, CommandFactory, FromArgMatches};
use stopgate_protocol::{ErrorCode, Failure, Problem};

use crate::json;

/// The arguments of `program`, and whether the command that they name is to print JSON. `Err` is how the program ends
/// when there is nothing to do but to say why, or to help.
pub fn read<A: CommandFactory + FromArgMatches>() -> Result<(A, bool), ExitCode> {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let read = refusing_empty(A::command()).try_get_matches_from(&arguments).and_then(|matches| {
        let as_json = asks_for_json(&matches);
        A::from_arg_matches(&matches).map(|read| (read, as_json))
    });
    read.map_err(|error| refuse(&error, &arguments))
}

/// `command` where no text may be empty that has a meaning: an unset variable of a script (`--session "$ID"`) would ask for
/// everything instead of one thing.
fn refusing_empty(command: Command) -> Command {
    let has_meaning = |arg: &Arg| {
        arg.get_action().takes_values()
            && arg.get_value_parser().type_id() == TypeId::of::<String>()
            && arg.get_value_parser().possible_values().is_none()
            && arg.get_default_values().is_empty()
    };
    command
        .mut_args(|arg| if has_meaning(&arg) { arg.value_parser(NonEmptyStringValueParser::new()) } else { arg })
        .mut_subcommands(refusing_empty)
}

/// Whether the innermost command has its `--json` set.
fn asks_for_json(matches: &ArgMatches) -> bool {
    match matches.subcommand() {
        Some((_, inner)) => asks_for_json(inner),
        None => matches!(matches.try_get_one::<bool>("json"), Ok(Some(true))),
    }
}

fn refuse(error: &clap::Error, arguments: &[OsString]) -> ExitCode {
    let _ = error.print();
    let is_help = matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    );
    // What is not understood may still say how it wants to hear of it.
    if !is_help
        && arguments
            .iter()
            .take_while(|argument| *argument != "--")
            .any(|argument| argument.as_encoded_bytes().starts_with(b"--json"))
    {
        let text = error.render().to_string();
        let lines = text.lines().map(str::trim).take_while(|line| !line.starts_with("Usage:"));
        let message = lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ");
        let message = message.trim_start_matches("error: ");
        let _ = json(&Problem { error: Failure::new(ErrorCode::Usage, message).with_remedy("--help shows the usage") });
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(ErrorCode::Usage.exit_code()))
}
