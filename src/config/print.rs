//! The settings as a settings file.

use std::fmt::Write;

use toml_writer::{ToTomlValue, TomlStringBuilder};

use super::setting::{Kind, Setting};

/// Each setting stands in a line of its own, with where it comes from; those that are not set are comments.
pub(super) fn to_toml(settings: &[Setting]) -> String {
    let mut text = String::from("# The settings of fanfare, for --config.\n");
    let mut heading = "";
    for setting in settings {
        if setting.heading != heading {
            heading = &setting.heading;
            text += &format!("\n# {heading}\n");
        }
        let name = &setting.name;
        // A string takes what is written into it.
        let _ = match setting.values.is_empty() {
            true => writeln!(text, "# {name}: not set"),
            false => writeln!(text, "{name} = {} # {}", value(setting), setting.source),
        };
    }
    text
}

fn value(setting: &Setting) -> String {
    let one = |value: &String| match setting.kind {
        Kind::Switch => value.clone(),
        _ => scalar(value),
    };
    let values: Vec<_> = setting.values.iter().map(one).collect();
    match setting.kind {
        Kind::List => format!("[{}]", values.join(", ")),
        _ => values.concat(),
    }
}

/// A number where it is read again as the same text.
pub(super) fn scalar(value: &str) -> String {
    match value.parse::<i64>() {
        Ok(number) if number.to_string() == value => number.to_string(),
        _ => quoted(value),
    }
}

/// In double quotes, on one line.
fn quoted(value: &str) -> String {
    let string = TomlStringBuilder::new(value).as_basic();
    string.to_toml_value()
}

#[cfg(test)]
mod tests {
    use super::super::setting::Source;
    use super::*;

    fn setting(name: &str, kind: Kind, values: &[&str], source: Source) -> Setting {
        Setting {
            name: name.to_owned(),
            heading: "Things".to_owned(),
            kind,
            values: values.iter().map(|&value| value.to_owned()).collect(),
            source,
        }
    }

    #[test]
    fn a_line_has_the_value_and_where_it_comes_from() {
        let settings = [
            setting("max", Kind::Single, &["10"], Source::Flag),
            setting("len", Kind::Single, &["010"], Source::Environment),
            setting("size", Kind::Single, &["1\"\\\n\u{7}"], Source::File(7)),
            setting("on", Kind::Switch, &["true"], Source::Default),
            setting("many", Kind::List, &["a", "2"], Source::Default),
            setting("none", Kind::Single, &[], Source::Default),
        ];
        let text = to_toml(&settings);
        let lines: Vec<_> = text.lines().skip(3).collect();
        assert_eq!(lines[0], "max = 10 # flag");
        assert_eq!(lines[1], "len = \"010\" # environment");
        assert!(lines[2].ends_with("# file, line 7"), "{text}");
        assert_eq!(lines[3], "on = true # default");
        assert_eq!(lines[4], "many = [\"a\", 2] # default");
        assert_eq!(lines[5], "# none: not set");
        let size = toml::de::DeTable::parse(&text).expect("it is TOML");
        let size = size.get_ref().get("size").expect("it is set");
        assert_eq!(size.get_ref().as_str(), Some("1\"\\\n\u{7}"));
    }
}
