//! The fanfare server: arguments, log, run, exit code.

mod log;

use std::env;
use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

use fanfare::config::{
    Command, Config, JWT_KEY_LEN_MIN, LoadError, Loaded, UnknownVariable, unknown_variables,
};
use fanfare::server::probe::Target;
use fanfare::server::{Reload, Server};
use log::FilterHandle;
use tracing::{info, warn};
use tracing_subscriber::EnvFilter;

/// The settings contradict themselves or cannot be read.
const EXIT_USAGE: u8 = 2;
/// The server that was asked does not live.
const EXIT_UNHEALTHY: u8 = 1;

fn main() -> ExitCode {
    let loaded = match Loaded::from_process() {
        Ok(loaded) => loaded,
        Err(LoadError::Answer(answer)) => {
            // If nobody reads it, there is nobody to tell.
            let _ = answer.print();
            return ExitCode::SUCCESS;
        }
        Err(LoadError::Wrong(line)) => return fail(&line, EXIT_USAGE),
    };
    if let Some(Command::Health { url }) = &loaded.config.command {
        return match health(url.as_deref(), &loaded.config) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&error, EXIT_UNHEALTHY),
        };
    }
    let filter = match log::filter(&loaded.config.log) {
        Ok(filter) => filter,
        Err(line) => return fail(&line, EXIT_USAGE),
    };
    if loaded.config.start.print_config {
        return print(&loaded.to_toml());
    }
    if loaded.config.start.check {
        return print("the settings are good\n");
    }
    match serve(loaded, filter) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error.to_string(), 1),
    }
}

/// Prints what was asked for. If nobody reads it, there is nobody to tell.
fn print(text: &str) -> ExitCode {
    let _ = io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

/// A setting that is misspelt in the environment would otherwise be without effect and without a word.
fn warn_of_slips() {
    let names = env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    for UnknownVariable { name, nearest } in unknown_variables(names) {
        match nearest {
            Some(nearest) => warn!("{name} is not a setting; did you mean {nearest}?"),
            None => warn!("{name} is not a setting; see --help"),
        }
    }
}

/// Anybody that guesses the key can grant every right.
fn warn_of_short_key(config: &Config) {
    if config.access.has_short_jwt_key() {
        warn!(
            "the key of --jwt-key is shorter than {JWT_KEY_LEN_MIN} bytes and may be guessed; make one with \
             openssl rand -hex 32"
        );
    }
}

/// Asks a running server whether it lives, by default the one that these settings are for.
fn health(url: Option<&str>, config: &Config) -> Result<(), String> {
    let target = match url {
        Some(url) => Target::from_url(url).map_err(|error| format!("{url:?}: {error}"))?,
        None => Target::of(&config.network),
    };
    target.probe()
}

fn serve(loaded: Loaded, filter: EnvFilter) -> Result<(), Box<dyn Error>> {
    let config = loaded.config.clone();
    let filter = log::start(&config.log, filter)?;
    warn_of_slips();
    warn_of_short_key(&config);
    let descriptors = rlimit::increase_nofile_limit(u64::MAX).unwrap_or(1024);
    let client_limit = config.client_limit(usize::try_from(descriptors)?)?;
    let server = Server::bind(config, client_limit)?;
    announce(&server.describe_addrs()?);
    info!(client_limit, "ready");
    server.run(&mut Settings { loaded, filter })?;
    info!("done");
    Ok(())
}

/// The settings that are read anew at SIGHUP.
struct Settings {
    /// Those at the start.
    loaded: Loaded,
    filter: FilterHandle,
}

impl Reload for Settings {
    fn read(&mut self) -> Result<Config, String> {
        let fresh = match Loaded::from_process() {
            Ok(fresh) => fresh,
            Err(LoadError::Wrong(line)) => return Err(line),
            Err(LoadError::Answer(_)) => return Err("help was asked for".to_owned()),
        };
        let filter = log::filter(&fresh.config.log)?;
        let fixed = fresh.fixed_differences(&self.loaded);
        if !fixed.is_empty() {
            let settings = fixed.join(", ");
            warn!(
                settings,
                "these settings hold until the server is started anew"
            );
        }
        warn_of_short_key(&fresh.config);
        // It fails only where the log is gone, and then there is nobody to tell.
        let _ = self.filter.reload(filter);
        Ok(fresh.config)
    }
}

/// The one line on standard output. The program that started the server may have closed it; that is no failure.
fn announce(addrs: &str) {
    let version = env!("CARGO_PKG_VERSION");
    let mut out = io::stdout();
    let _ = writeln!(out, "fanfare {version} listening on {addrs}");
    let _ = out.flush();
}

fn fail(line: &str, code: u8) -> ExitCode {
    let _ = writeln!(io::stderr(), "fanfare: {line}");
    ExitCode::from(code)
}
