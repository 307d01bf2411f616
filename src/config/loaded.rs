//! The settings of this process: its flags, its environment, its settings file, the defaults, in this order.

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use clap::builder::Resettable;
use clap::parser::ValueSource;
use clap::{ArgMatches, Command, CommandFactory, FromArgMatches};

use super::one_line::one_line;
use super::setting::{self, BROKER, Setting, is_reloadable};
use super::{Config, file, print};

/// The settings, and where each of them comes from.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The settings themselves.
    pub config: Config,
    settings: Vec<Setting>,
}

/// Why there are no settings.
#[derive(Debug)]
pub enum LoadError {
    /// Only help or the version was asked for.
    Answer(clap::Error),
    /// A line that says what is wrong.
    Wrong(String),
}

impl From<clap::Error> for LoadError {
    fn from(error: clap::Error) -> Self {
        match error.use_stderr() {
            true => Self::Wrong(one_line(error)),
            false => Self::Answer(error),
        }
    }
}

impl Loaded {
    /// Reads and checks the settings of this process. A variable that is empty counts as one that is not there, as
    /// scripts leave them.
    ///
    /// # Errors
    /// Something makes no sense, or only help or the version was asked for.
    pub fn from_process() -> Result<Self, LoadError> {
        let mut command = command();
        let mut arguments: Vec<OsString> = env::args_os().collect();
        let given = command.try_get_matches_from_mut(&arguments)?;
        let mut lines = Vec::new();
        if let Some(path) = given.get_one::<PathBuf>("config") {
            for entry in file::read(path, &Config::command()).map_err(LoadError::Wrong)? {
                if !entry.arguments.is_empty() && !is_given(&command, &given, &entry.name) {
                    // In front, where they are the program's own, whatever a subcommand takes.
                    arguments.splice(1..1, entry.arguments);
                    lines.push((entry.name, entry.line));
                }
            }
        }
        let matches = command.try_get_matches_from_mut(&arguments)?;
        let config =
            Config::from_arg_matches(&matches).map_err(|error| error.format(&mut command))?;
        config.check().map_err(LoadError::Wrong)?;
        let settings = setting::collect(&command, &matches, |name| {
            let found = lines.iter().find(|(known, _)| known == name);
            found.map(|&(_, line)| line)
        });
        Ok(Self { config, settings })
    }

    /// The settings as a settings file, with where each of them comes from. Secrets are hidden.
    pub fn to_toml(&self) -> String {
        print::to_toml(&self.settings)
    }

    /// The names of the settings that are other ones in `self` and hold until the program is started anew.
    pub fn fixed_differences(&self, running: &Self) -> Vec<&str> {
        let fixed = self
            .settings
            .iter()
            .filter(|setting| !is_reloadable(&setting.name));
        let differs = |setting: &&Setting| {
            let same = |old: &Setting| old.name == setting.name && old.values == setting.values;
            // Its password is not among the values, which may be seen.
            let broker = |loaded: &Self| loaded.config.backplane.backplane.clone();
            let is_other_broker = setting.name == BROKER && broker(self) != broker(running);
            is_other_broker || !running.settings.iter().any(same)
        };
        fixed
            .filter(differs)
            .map(|setting| setting.name.as_str())
            .collect()
    }
}

/// The program's arguments, without the variables that are empty.
fn command() -> Command {
    let is_empty = |name: &OsStr| env::var_os(name).is_some_and(|value| value.is_empty());
    Config::command().mut_args(|argument| match argument.get_env() {
        Some(name) if is_empty(name) => argument.env(Resettable::Reset),
        _ => argument,
    })
}

/// Whether a flag or the environment says what a setting is.
fn is_given(command: &Command, matches: &ArgMatches, name: &str) -> bool {
    let argument = setting::arguments(command).find(|&(known, _)| known == name);
    argument.is_some_and(|(_, argument)| {
        let source = matches.value_source(argument.get_id().as_str());
        matches!(
            source,
            Some(ValueSource::CommandLine | ValueSource::EnvVariable)
        )
    })
}
