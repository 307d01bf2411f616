//! Settings that say where the others come from, and what to do with them. They stand in no settings file.

use std::path::PathBuf;

use clap::Args;

/// Where the settings come from, and what to do with them.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Start")]
pub struct StartSettings {
    /// Read settings from this file too (TOML): the same names as the flags, such as max-clients = 1000, and lists
    /// for repeatable ones. Flags and the environment win
    #[arg(long, env = "FANFARE_CONFIG", value_name = "FILE", hide_env = true)]
    pub config: Option<PathBuf>,

    /// Check all settings and exit: with 0 if they are good, else with 2
    #[arg(long)]
    pub check: bool,

    /// Print all settings as a settings file, with where each comes from, and exit. Secrets are hidden
    #[arg(long)]
    pub print_config: bool,
}

/// Whether a setting may stand in a settings file, by its long name.
pub(super) fn is_for_files(name: &str) -> bool {
    !matches!(name, "config" | "check" | "print-config")
}
