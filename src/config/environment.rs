//! Slips in the environment: variables that look like settings and are none.

use clap::CommandFactory;

use super::Config;

const PREFIX: &str = "FANFARE_";
/// Names that others set: Kubernetes for a service that is called fanfare, and the project's own tests.
const FOREIGN: [&str; 5] = ["PORT", "SERVICE_HOST", "SERVICE_PORT", "SEEDS", "BROKER"];
const FOREIGN_PREFIXES: [&str; 3] = ["PORT_", "SERVICE_PORT_", "REQUIRE_"];

/// A variable that is no setting.
#[derive(Debug, PartialEq, Eq)]
pub struct UnknownVariable {
    /// Its name.
    pub name: String,
    /// The setting that may be meant.
    pub nearest: Option<String>,
}

/// Those of `names` that begin with `FANFARE_` and set nothing.
pub fn unknown_variables(names: impl Iterator<Item = String>) -> Vec<UnknownVariable> {
    let command = Config::command();
    let known: Vec<&str> = command
        .get_arguments()
        .filter_map(|argument| argument.get_env()?.to_str())
        .collect();
    names
        .filter(|name| !known.contains(&name.as_str()))
        .filter(|name| {
            name.strip_prefix(PREFIX)
                .is_some_and(|rest| !is_foreign(rest))
        })
        .map(|name| UnknownVariable {
            nearest: nearest(&name, &known, PREFIX.len()),
            name,
        })
        .collect()
}

fn is_foreign(rest: &str) -> bool {
    FOREIGN.contains(&rest)
        || FOREIGN_PREFIXES
            .iter()
            .any(|prefix| rest.starts_with(prefix))
}

/// The name that takes the fewest edits. None where most of the name would have to be edited, but for the prefix that
/// all of them have.
pub(super) fn nearest(name: &str, known: &[&str], prefix_len: usize) -> Option<String> {
    let distance = |other: &&str| edit_distance(name.as_bytes(), other.as_bytes());
    let nearest = known.iter().min_by_key(|other| distance(other))?;
    let own_len = name.len().max(nearest.len()) - prefix_len;
    (distance(nearest) * 2 <= own_len).then(|| (*nearest).to_owned())
}

/// How many letters have to be inserted, removed or replaced (Levenshtein).
fn edit_distance(from: &[u8], to: &[u8]) -> usize {
    // The distances of the letters of `from` so far to every beginning of `to`.
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (removed, letter) in from.iter().enumerate() {
        let mut left = removed + 1;
        let mut next = vec![left];
        for (above, other) in row.windows(2).zip(to) {
            let &[diagonal, above] = above else { break };
            left = (diagonal + usize::from(letter != other))
                .min(above + 1)
                .min(left + 1);
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unknown(names: &[&str]) -> Vec<(String, Option<String>)> {
        unknown_variables(names.iter().map(|&name| name.to_owned()))
            .into_iter()
            .map(|variable| (variable.name, variable.nearest))
            .collect()
    }

    #[test]
    fn an_edit_is_a_letter_more_less_or_other() {
        for (from, to, distance) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("abc", "abc", 0),
            ("abc", "abd", 1),
            ("abc", "ac", 1),
            ("ac", "abc", 1),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(edit_distance(from.as_bytes(), to.as_bytes()), distance);
        }
    }

    #[test]
    fn a_slip_is_found_with_the_name_that_may_be_meant() {
        for (name, nearest) in [
            ("FANFARE_ADRR", "FANFARE_ADDR"),
            ("FANFARE_MAX_CLIENT", "FANFARE_MAX_CLIENTS"),
            ("FANFARE_MAX_MSG", "FANFARE_MAX_MESSAGE"),
            ("FANFARE_LOGFORMAT", "FANFARE_LOG_FORMAT"),
        ] {
            let expected = (name.to_owned(), Some(nearest.to_owned()));
            assert_eq!(unknown(&[name]), [expected]);
        }
        let unlike = ("FANFARE_COLOUR".to_owned(), None);
        assert_eq!(unknown(&["FANFARE_COLOUR"]), [unlike]);
    }

    #[test]
    fn settings_and_names_that_others_set_are_no_slips() {
        let names = [
            "FANFARE_ADDR",
            "FANFARE_LOG",
            "FANFARE_PORT",
            "FANFARE_PORT_8080_TCP_ADDR",
            "FANFARE_SERVICE_HOST",
            "FANFARE_SERVICE_PORT",
            "FANFARE_SERVICE_PORT_HTTP",
            "FANFARE_REQUIRE_CHROMIUM",
            "FANFARE_SEEDS",
            "FANFARE_BROKER",
            "FANFARES",
            "PATH",
        ];
        assert_eq!(unknown(&names), []);
    }

    #[test]
    fn names_a_letter_away_from_those_of_others_are_slips() {
        for name in ["FANFARE_PORTS", "FANFARE_SERVICE_HOSTS", "FANFARE_SEED"] {
            assert_eq!(unknown(&[name]).len(), 1, "{name}");
        }
    }
}
