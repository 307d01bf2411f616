//! What clap says about a slip, in one line: what is wrong and what may have been meant.

use clap::error::{ContextKind, ContextValue};

use super::setting::{HIDDEN, is_secret};

/// The usage that follows the error tells nothing more. What is wrong with a secret is told without it.
pub(super) fn one_line(mut error: clap::Error) -> String {
    hide_secret(&mut error);
    let text = error.to_string();
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

fn hide_secret(error: &mut clap::Error) {
    let names_secret = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(argument)) => {
            let name = argument.trim_start_matches('-');
            is_secret(name.split([' ', '=']).next().unwrap_or(name))
        }
        _ => false,
    };
    if names_secret && error.get(ContextKind::InvalidValue).is_some() {
        let hidden = ContextValue::String(HIDDEN.to_owned());
        error.insert(ContextKind::InvalidValue, hidden);
    }
}

#[cfg(test)]
mod tests {
    use clap::{Arg, Command, Parser};

    use super::super::Config;
    use super::*;

    fn refusal(arguments: &[&str]) -> String {
        let error = Config::try_parse_from([&["fanfare"], arguments].concat());
        one_line(error.expect_err("it makes no sense"))
    }

    #[test]
    fn a_slip_in_a_flag_is_told_with_the_flag_that_may_be_meant() {
        assert_eq!(
            refusal(&["--adr", ":1"]),
            "unexpected argument '--adr' found; a similar argument exists: '--addr'; see --help"
        );
        assert_eq!(
            refusal(&["--log-format", "jsn"]),
            "invalid value 'jsn' for '--log-format <FORMAT>' [possible values: auto, text, json]; a similar \
             value exists: 'json'; see --help"
        );
    }

    #[test]
    fn what_is_not_like_anything_is_told_without_a_tip() {
        assert_eq!(
            refusal(&["nonsense"]),
            "unrecognized subcommand 'nonsense'; see --help"
        );
    }

    #[test]
    fn a_bad_secret_is_not_shown() {
        let parser = |_: &str| Err::<String, _>("it is too short");
        let argument = Arg::new("t").long("publish-token").value_parser(parser);
        let command = Command::new("fanfare").arg(argument);
        for arguments in [
            &["--publish-token", "geheim"][..],
            &["--publish-token=geheim"],
        ] {
            let arguments = [&["fanfare"], arguments].concat();
            let error = command.clone().try_get_matches_from(arguments);
            assert_eq!(
                one_line(error.expect_err("it is refused")),
                "invalid value '***' for '--publish-token <t>': it is too short; see --help"
            );
        }
    }
}
