//! The settings file: TOML, in which each setting has the name of its flag.
//!
//! Each entry becomes the arguments that would say the same, so that the same parsers check it and the same errors
//! come, with the file and the line before them.

use std::ffi::OsString;
use std::path::Path;

use clap::builder::Resettable;
use clap::error::ErrorKind;
use clap::{Arg, Command};
use toml::de::{DeTable, DeValue};

use super::environment::nearest;
use super::one_line::one_line;
use super::regular_file;
use super::setting::{Kind, arguments, is_hidden};

/// The largest settings file, in bytes: a hundred times what all settings take.
pub const CONFIG_FILE_LEN_MAX: usize = 64 * 1024;

/// A setting in the file. It may hold a secret, and so is not to be shown.
pub(super) struct Entry {
    /// Its flag, without the dashes.
    pub(super) name: String,
    pub(super) line: usize,
    /// What would say the same on the command line. Nothing for what is switched off.
    pub(super) arguments: Vec<OsString>,
}

/// Reads a settings file.
///
/// # Errors
/// One line that says what is wrong, and where.
pub(super) fn read(path: &Path, command: &Command) -> Result<Vec<Entry>, String> {
    let shown = path.display();
    let text = read_text(path).map_err(|reason| format!("{shown}: {reason}"))?;
    let entries = parse(&text, command).and_then(|entries| {
        entries
            .iter()
            .try_for_each(|entry| check(entry, command).map_err(|error| (entry.line, error)))?;
        Ok(entries)
    });
    entries.map_err(|(line, reason)| format!("{shown}:{line}: {reason}"))
}

fn read_text(path: &Path) -> Result<String, String> {
    let bytes = regular_file::read(path, CONFIG_FILE_LEN_MAX)?;
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())
}

/// What is wrong, and in which line.
type Wrong = (usize, String);

fn parse(text: &str, command: &Command) -> Result<Vec<Entry>, Wrong> {
    let table = DeTable::parse(text).map_err(|error| {
        let start = error.span().map_or(0, |span| span.start);
        // The whole of the error would show what stands in the line, which may be a secret.
        let message = error.message().replace('\n', ", ");
        (line_of(text, start), format!("it is not TOML: {message}"))
    })?;
    let mut entries = Vec::new();
    for (key, value) in table.get_ref() {
        let line = line_of(text, key.span().start);
        let name: &str = key.get_ref();
        let entry = find(name, command).and_then(|argument| {
            Ok(Entry {
                name: name.to_owned(),
                line,
                arguments: spell(name, argument, value.get_ref())?,
            })
        });
        entries.push(entry.map_err(|reason| (line, reason))?);
    }
    entries.sort_by_key(|entry| entry.line);
    Ok(entries)
}

fn line_of(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().get(..offset).unwrap_or(text.as_bytes());
    1 + before.iter().filter(|&&byte| byte == b'\n').count()
}

fn find<'a>(name: &str, command: &'a Command) -> Result<&'a Arg, String> {
    let known = arguments(command).find(|&(known, _)| known == name);
    known.map(|(_, argument)| argument).ok_or_else(|| {
        let known: Vec<_> = arguments(command).map(|(known, _)| known).collect();
        let unknown = format!("\"{}\" is not a setting", name.escape_debug());
        match nearest(name, &known, 0) {
            Some(nearest) => format!("{unknown}; did you mean {nearest}?"),
            None => format!("{unknown}; see --help"),
        }
    })
}

/// The arguments that say the same as an entry.
fn spell(name: &str, argument: &Arg, value: &DeValue<'_>) -> Result<Vec<OsString>, String> {
    let flag = |value: String| OsString::from(format!("--{name}={value}"));
    match (Kind::of(argument), value) {
        (Kind::Switch, DeValue::Boolean(true)) => Ok(vec![format!("--{name}").into()]),
        (Kind::Switch, DeValue::Boolean(false)) => Ok(Vec::new()),
        (Kind::Switch, _) => Err(format!("{name} must be true or false")),
        (Kind::List, DeValue::Array(values)) => {
            let values = values.iter().map(|value| scalar(name, value.get_ref()));
            values.map(|value| value.map(flag)).collect()
        }
        (Kind::Single, DeValue::Array(_)) => Err(format!("{name} takes one value, not a list")),
        (_, value) => Ok(vec![flag(scalar(name, value)?)]),
    }
}

/// A value as it would be written in a flag.
fn scalar(name: &str, value: &DeValue<'_>) -> Result<String, String> {
    let text = match value {
        DeValue::String(text) => text.to_string(),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_err(|_| format!("the number of {name} is too large"))?
            .to_string(),
        _ => return Err(format!("{name} must be text or a whole number")),
    };
    if is_hidden(name, &text) {
        return Err(format!(
            "--print-config has hidden {name}; write its value, or name a file that holds it"
        ));
    }
    Ok(text)
}

/// Has the setting's own parser look at an entry, even if a flag or the environment wins over it.
fn check(entry: &Entry, command: &Command) -> Result<(), String> {
    let alone = command
        .clone()
        .mut_args(|argument| argument.env(Resettable::Reset));
    let name = OsString::from(command.get_name());
    let arguments = [name]
        .iter()
        .chain(&entry.arguments)
        .cloned()
        .collect::<Vec<_>>();
    match alone.try_get_matches_from(arguments) {
        Err(error) if is_about_others(error.kind()) => Ok(()),
        Err(error) => Err(one_line(error)),
        Ok(_) => Ok(()),
    }
}

/// Whether an error says how settings go together, which is judged when all of them are known.
fn is_about_others(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::ArgumentConflict
            | ErrorKind::MissingRequiredArgument
            | ErrorKind::MissingSubcommand
    )
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::super::Config;
    use super::*;

    fn parsed(text: &str) -> Result<Vec<(usize, Vec<String>)>, Wrong> {
        let entries = parse(text, &Config::command())?;
        let shown = |entry: Entry| {
            let arguments = entry.arguments.into_iter();
            let arguments = arguments.map(|argument| argument.into_string().expect("UTF-8"));
            (entry.line, arguments.collect())
        };
        Ok(entries.into_iter().map(shown).collect())
    }

    #[test]
    fn entries_become_the_arguments_that_say_the_same() {
        let text = "# A comment\nslow = \"skip\"\n\nmax-clients = 1_000 # another\nhistory = 0x10\n\
                    echo = true\nallow-origin = [\n  \"null\",\n  \"*\",\n]\nlog = '''warn'''\n";
        let expected: [(usize, &[&str]); 6] = [
            (2, &["--slow=skip"]),
            (4, &["--max-clients=1000"]),
            (5, &["--history=16"]),
            (6, &["--echo"]),
            (7, &["--allow-origin=null", "--allow-origin=*"]),
            (11, &["--log=warn"]),
        ];
        let expected = expected.map(|(line, arguments)| {
            let arguments = arguments.iter().map(|&argument| argument.to_owned());
            (line, arguments.collect())
        });
        assert_eq!(parsed(text), Ok(expected.to_vec()));
        let off = parsed("echo = false\nallow-origin = []\n");
        assert_eq!(off, Ok(vec![(1, vec![]), (2, vec![])]));
        let one = parsed("allow-origin = 'null'");
        assert_eq!(one, Ok(vec![(1, vec!["--allow-origin=null".to_owned()])]));
        assert_eq!(parsed(""), Ok(vec![]));
    }

    #[test]
    fn nonsense_is_told_with_its_line() {
        for (text, line, part) in [
            ("\nmax-client = 1", 2, "did you mean max-clients?"),
            ("max_clients = 1", 1, "did you mean max-clients?"),
            ("colour-of-walls = 1", 1, "is not a setting; see --help"),
            ("config = 'a'", 1, "\"config\" is not a setting"),
            ("check = true", 1, "\"check\" is not a setting"),
            ("help = true", 1, "\"help\" is not a setting"),
            (
                "\n\nmax-clients = true",
                3,
                "must be text or a whole number",
            ),
            ("max-clients = 1.5", 1, "must be text or a whole number"),
            ("max-clients = [1]", 1, "takes one value, not a list"),
            ("drain = 1979-05-27", 1, "must be text or a whole number"),
            ("[drain]\na = 1", 1, "must be text or a whole number"),
            ("echo = 'true'", 1, "must be true or false"),
            ("echo = 1", 1, "must be true or false"),
            (
                "allow-origin = [['null']]",
                1,
                "must be text or a whole number",
            ),
            ("history = 99999999999999999999", 1, "is too large"),
            ("history = 1\nhistory = 2", 2, "duplicate key"),
            ("history = 1\nlog", 2, "it is not TOML"),
            ("\"\\u0007\" = 1", 1, r#""\u{7}" is not a setting"#),
        ] {
            let (found, reason) = parsed(text).expect_err(text);
            assert!(reason.contains(part), "{text:?}: {reason}");
            assert_eq!(found, line, "{text:?}: {reason}");
            assert_eq!(reason.lines().count(), 1, "{text:?}: {reason}");
        }
    }

    #[test]
    fn what_is_not_toml_is_told_without_what_stands_there() {
        let (_, reason) = parsed("log = secret").expect_err("it has no quotes");
        assert!(!reason.contains("secret"), "{reason}");
    }
}
