//! The reference: all commands and options in one text of Markdown.
//!
//! The common options are told once; then each command with what it takes.

use clap::{Arg, Command};

/// The reference of the program.
pub(super) fn text(program: &Command) -> String {
    let mut text = String::from(
        "# Reference of the command line\n\n\
         Made by `strongroom man --form markdown` from the definitions that the program parses \
         by; `make generate` renews it.\n\n## Common options\n\n",
    );
    arguments(&mut text, program.get_arguments());
    let mut open: Vec<_> = shown_below(program);
    open.reverse();
    while let Some(command) = open.pop() {
        section(&mut text, command);
        let mut below = shown_below(command);
        below.reverse();
        open.append(&mut below);
    }
    text
}

fn shown_below(command: &Command) -> Vec<&Command> {
    command.get_subcommands().filter(|below| !below.is_hide_set()).collect()
}

fn section(text: &mut String, command: &Command) {
    let name = command.get_display_name().unwrap_or(command.get_name());
    let words = command.get_bin_name().map_or_else(|| name.to_owned(), str::to_owned);
    text.push_str(&format!("\n## {words}\n\n"));
    let about = command.get_long_about().or(command.get_about());
    if let Some(about) = about {
        text.push_str(&format!("{about}\n\n"));
    }
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage:").trim();
    text.push_str(&format!("```\n{usage}\n```\n"));
    let own: Vec<_> = command.get_arguments().filter(|arg| !arg.is_global_set()).collect();
    let own: Vec<_> = own.into_iter().filter(|arg| arg.get_id() != "help").collect();
    if !own.is_empty() {
        text.push('\n');
        arguments(text, own.into_iter());
    }
}

fn arguments<'c>(text: &mut String, arguments: impl Iterator<Item = &'c Arg>) {
    text.push_str("| option | what it does |\n| --- | --- |\n");
    for argument in arguments.filter(|argument| !argument.is_hide_set()) {
        let help = argument.get_long_help().or(argument.get_help());
        let mut help = help.map(ToString::to_string).unwrap_or_default();
        let takes_value = argument.get_action().takes_values();
        let hides_default = argument.is_hide_default_value_set();
        let defaults = argument.get_default_values();
        if let ([default], true, false) = (defaults, takes_value, hides_default) {
            help.push_str(&format!(" [default: {}]", default.to_string_lossy()));
        }
        let values = argument.get_possible_values();
        let values: Vec<_> = values.iter().filter(|value| !value.is_hide_set()).collect();
        if takes_value && !values.is_empty() {
            let told = values.iter().map(|value| match value.get_help() {
                Some(help) => format!("`{}` ({help})", value.get_name()),
                None => format!("`{}`", value.get_name()),
            });
            help.push_str(&format!("; one of {}", told.collect::<Vec<_>>().join(", ")));
        }
        let help = help.replace('\n', " ").replace('|', "\\|");
        let short = argument.get_short().map(|short| format!("-{short}, ")).unwrap_or_default();
        let name = argument.to_string().replace('|', "\\|");
        text.push_str(&format!("| `{short}{name}` | {help} |\n"));
    }
}
