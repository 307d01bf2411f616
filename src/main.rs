//! The fanfare server: arguments, log, run, exit code.

mod log;

use std::error::Error;
use std::io::{self, ErrorKind, Write};
use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Parser;
use fanfare::config::Config;
use fanfare::server::Server;
use tracing::info;

/// The settings contradict themselves or cannot be read.
const EXIT_USAGE: u8 = 2;

fn main() -> ExitCode {
    let config = match Config::try_parse() {
        Ok(config) => config,
        Err(error) if !error.use_stderr() => {
            // Help or version was asked for. If nobody reads it, there is nobody to tell.
            let _ = error.print();
            return ExitCode::SUCCESS;
        }
        Err(error) => return fail(&first_paragraph(&error.to_string()), EXIT_USAGE),
    };
    if let Err(error) = config.check() {
        return fail(&error, EXIT_USAGE);
    }
    if let Err(error) = log::start(&config) {
        return fail(&format!("--log {:?}: {error}", config.log), EXIT_USAGE);
    }
    match serve(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error.to_string(), 1),
    }
}

fn serve(config: Config) -> Result<(), Box<dyn Error>> {
    let descriptors = rlimit::increase_nofile_limit(u64::MAX).unwrap_or(1024);
    let client_limit = config.client_limit(usize::try_from(descriptors)?)?;
    let addr = config.addr.clone();
    let server = Server::bind(config, client_limit).map_err(|error| explain_bind(&addr, &error))?;
    announce(server.local_addr()?);
    info!(client_limit, "ready");
    server.run()?;
    info!("done");
    Ok(())
}

/// The one line on standard output. Whoever started the server may have closed it; that is no failure.
fn announce(addr: SocketAddr) {
    let version = env!("CARGO_PKG_VERSION");
    let mut out = io::stdout();
    let _ = if addr.ip().is_unspecified() {
        let port = addr.port();
        writeln!(
            out,
            "fanfare {version} listening on http://localhost:{port}/ (all interfaces)"
        )
    } else {
        writeln!(out, "fanfare {version} listening on http://{addr}/")
    };
    let _ = out.flush();
}

fn explain_bind(addr: &str, error: &io::Error) -> String {
    let advice = match error.kind() {
        ErrorKind::AddrInUse => "stop whoever uses the port, or choose another one with --addr",
        ErrorKind::PermissionDenied => {
            "ports below 1024 need a privilege; choose another one with --addr"
        }
        ErrorKind::AddrNotAvailable => "this machine has no such address; choose another --addr",
        _ => "--addr is written HOST:PORT or :PORT",
    };
    format!("cannot listen on {addr}: {error}; {advice}")
}

fn fail(line: &str, code: u8) -> ExitCode {
    let _ = writeln!(io::stderr(), "fanfare: {line}");
    ExitCode::from(code)
}

/// What is wrong, in one line, without the usage that follows it.
fn first_paragraph(text: &str) -> String {
    let lines = text.lines().map(str::trim);
    let paragraph: Vec<&str> = lines.take_while(|line| !line.is_empty()).collect();
    let line = paragraph.join(" ");
    line.strip_prefix("error: ").unwrap_or(&line).to_owned()
}
