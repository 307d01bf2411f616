//! The fanfare server: arguments, log, run, exit code.

mod log;

use std::env;
use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

use fanfare::config::{
    Command, Config, DEFAULT_ADDR, JWT_KEY_LEN_MIN, UnknownVariable, unknown_variables,
};
use fanfare::server::Server;
use fanfare::server::probe::Target;
use tracing::{info, warn};

/// The settings contradict themselves or cannot be read.
const EXIT_USAGE: u8 = 2;
/// The server that was asked does not live.
const EXIT_UNHEALTHY: u8 = 1;

fn main() -> ExitCode {
    let config = match Config::from_process() {
        Ok(config) => config,
        Err(error) if !error.use_stderr() => {
            // Help or version was asked for. If nobody reads it, there is nobody to tell.
            let _ = error.print();
            return ExitCode::SUCCESS;
        }
        Err(error) => return fail(&one_line(&error.to_string()), EXIT_USAGE),
    };
    if let Some(Command::Health { url }) = &config.command {
        return match health(url.as_deref()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&error, EXIT_UNHEALTHY),
        };
    }
    if let Err(error) = config.check() {
        return fail(&error, EXIT_USAGE);
    }
    if let Err(error) = log::start(&config.log) {
        return fail(
            &format!("--log {:?}: {error}", config.log.filter),
            EXIT_USAGE,
        );
    }
    warn_of_slips();
    if config.access.has_short_jwt_key() {
        warn!(
            "the key of --jwt-key is shorter than {JWT_KEY_LEN_MIN} bytes and may be guessed; make one with \
             openssl rand -hex 32"
        );
    }
    match serve(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error.to_string(), 1),
    }
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

/// Asks a running server whether it lives, by default the one that these settings are for.
fn health(url: Option<&str>) -> Result<(), String> {
    let setting = |name| env::var(name).ok().filter(|value| !value.is_empty());
    let target = match url {
        Some(url) => Target::from_url(url).map_err(|error| format!("{url:?}: {error}"))?,
        None => {
            let addrs = setting("FANFARE_ADMIN_ADDR").or_else(|| setting("FANFARE_ADDR"));
            Target::from_addrs(addrs.as_deref().unwrap_or(DEFAULT_ADDR))
        }
    };
    target.probe()
}

fn serve(config: Config) -> Result<(), Box<dyn Error>> {
    let descriptors = rlimit::increase_nofile_limit(u64::MAX).unwrap_or(1024);
    let client_limit = config.client_limit(usize::try_from(descriptors)?)?;
    let server = Server::bind(config, client_limit)?;
    announce(&server.describe_addrs()?);
    info!(client_limit, "ready");
    server.run()?;
    info!("done");
    Ok(())
}

/// The one line on standard output. Whoever started the server may have closed it; that is no failure.
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

/// What is wrong and what may have been meant, in one line. The usage that follows it tells nothing more.
fn one_line(text: &str) -> String {
    let is_usage = |line: &&str| line.starts_with("Usage:") || line.starts_with("For more");
    let lines = text.lines().map(str::trim);
    let mut line = String::new();
    let mut between = "";
    for part in lines.take_while(|line| !is_usage(line)) {
        if part.is_empty() {
            between = "; ";
            continue;
        }
        line += between;
        line += part
            .trim_start_matches("error: ")
            .trim_start_matches("tip: ");
        between = " ";
    }
    line + "; see --help"
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn refusal(arguments: &[&str]) -> String {
        let error = Config::try_parse_from([&["fanfare"], arguments].concat());
        one_line(&error.expect_err("it makes no sense").to_string())
    }

    #[test]
    fn a_slip_in_a_flag_is_told_with_the_flag_that_may_be_meant() {
        assert_eq!(
            refusal(&["--adr", ":1"]),
            "unexpected argument '--adr' found; a similar argument exists: '--addr'; see --help"
        );
        assert_eq!(
            refusal(&["--log-format", "jsn"]),
            "invalid value 'jsn' for '--log-format <FORMAT>' [possible values: text, json]; a similar \
             value exists: 'json'; see --help"
        );
    }

    #[test]
    fn what_is_not_like_anything_is_told_without_a_tip() {
        assert_eq!(
            refusal(&["nonsense"]),
            "unexpected argument 'nonsense' found; see --help"
        );
    }
}
