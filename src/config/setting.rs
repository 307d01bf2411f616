//! One setting as it was given: its name, its values as they were written, and where they stood.
//!
//! All settings are found among clap's arguments, so that a new one needs no entry here.

use std::fmt;

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};

use super::broker_url::{is_without_password, without_password};
use super::startup::is_for_files;

/// What is shown in place of a secret.
pub(super) const HIDDEN: &str = "***";

/// Where a setting comes from. What stands above wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    Flag,
    Environment,
    /// The settings file, with its line.
    File(usize),
    Default,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag => f.write_str("flag"),
            Self::Environment => f.write_str("environment"),
            Self::File(line) => write!(f, "file, line {line}"),
            Self::Default => f.write_str("default"),
        }
    }
}

/// A setting as it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Setting {
    /// Its flag, without the dashes.
    pub(super) name: String,
    /// The group that it belongs to.
    pub(super) heading: String,
    pub(super) kind: Kind,
    /// As they were written, or [`HIDDEN`]; none if it is not set and has no default that could be written.
    pub(super) values: Vec<String>,
    pub(super) source: Source,
}

/// What a setting takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// True or false.
    Switch,
    /// One value.
    Single,
    /// Any number of values.
    List,
}

impl Kind {
    pub(super) fn of(argument: &Arg) -> Self {
        match argument.get_action() {
            ArgAction::SetTrue | ArgAction::SetFalse => Self::Switch,
            ArgAction::Append => Self::List,
            _ => Self::Single,
        }
    }
}

/// The arguments that are settings, with their names.
pub(super) fn arguments(command: &Command) -> impl Iterator<Item = (&str, &Arg)> {
    let named = command
        .get_arguments()
        .filter_map(|argument| Some((argument.get_long()?, argument)));
    named.filter(|(name, argument)| {
        let is_question = matches!(
            argument.get_action(),
            ArgAction::Help | ArgAction::HelpShort | ArgAction::HelpLong | ArgAction::Version
        );
        is_for_files(name) && !is_question
    })
}

/// The setting that holds a password among other things.
pub(super) const BROKER: &str = "backplane";

/// Whether the value of a setting is for nobody's eyes, by its name. Files with secrets have names that may be seen.
pub(super) fn is_secret(name: &str) -> bool {
    let is_key = name.contains("token") || name.contains("jwt-key");
    (is_key && !name.ends_with("-file")) || name == BROKER
}

/// What may be seen of a secret that was found good.
fn hidden(name: &str, value: &str) -> String {
    match name {
        BROKER => without_password(value),
        _ => HIDDEN.to_owned(),
    }
}

/// Whether the value of a setting is what was shown in place of a secret.
pub(super) fn is_hidden(name: &str, value: &str) -> bool {
    match name {
        BROKER => is_without_password(value),
        _ => is_secret(name) && value == HIDDEN,
    }
}

/// Whether a setting is read anew at SIGHUP, by its name. Of the others it is only said that they differ.
pub(super) fn is_reloadable(name: &str) -> bool {
    let is_key = name.contains("token") || name.contains("jwt-key");
    matches!(name, "log" | "allow-origin" | "allow-host") || is_key
}

/// All settings as they hold. `line` knows those that a file gave, by their names.
pub(super) fn collect(
    command: &Command,
    matches: &ArgMatches,
    line: impl Fn(&str) -> Option<usize>,
) -> Vec<Setting> {
    let setting = |(name, argument): (&str, &Arg)| {
        let id = argument.get_id().as_str();
        let kind = Kind::of(argument);
        let values = match kind {
            Kind::Switch => vec![matches.get_flag(id).to_string()],
            // Nobody has to know it, and so nobody can show it.
            _ if is_secret(name) => raw_values(matches, id)
                .iter()
                .map(|value| hidden(name, value))
                .collect(),
            _ => raw_values(matches, id),
        };
        let source = match (line(name), matches.value_source(id)) {
            (Some(line), _) => Source::File(line),
            (None, Some(ValueSource::CommandLine)) => Source::Flag,
            (None, Some(ValueSource::EnvVariable)) => Source::Environment,
            (None, _) => Source::Default,
        };
        Setting {
            name: name.to_owned(),
            heading: argument.get_help_heading().unwrap_or("Other").to_owned(),
            kind,
            values,
            source,
        }
    };
    arguments(command).map(setting).collect()
}

fn raw_values(matches: &ArgMatches, id: &str) -> Vec<String> {
    let raw = matches.get_raw(id).into_iter().flatten();
    raw.map(|value| value.to_string_lossy().into_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::config::Config;

    #[test]
    fn settings_do_not_know_secrets() {
        let command = Config::command();
        let arguments = [
            "fanfare",
            "--publish-token=geheim",
            "--jwt-key=geheim",
            "--backplane=redis://u:geheim@a",
        ];
        let matches = command.clone().get_matches_from(arguments);
        let shown = format!("{:?}", collect(&command, &matches, |_| None));
        assert!(!shown.contains("geheim"), "{shown}");
        assert_eq!(shown.matches(HIDDEN).count(), 3, "{shown}");
        assert!(shown.contains("redis://u:***@a"), "{shown}");
    }

    #[test]
    fn tokens_and_keys_are_secrets_and_their_files_are_not() {
        for name in [
            "publish-token",
            "listen-token",
            "jwt-key",
            "token",
            "backplane",
        ] {
            assert!(is_secret(name), "{name}");
        }
        for name in [
            "publish-token-file",
            "jwt-key-file",
            "addr",
            "max-clients",
            "backplane-prefix",
        ] {
            assert!(!is_secret(name), "{name}");
        }
    }
}
