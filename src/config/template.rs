//! The settings file that is installed: every setting with its default, as a comment.

use clap::{Arg, CommandFactory};

use super::Config;
use super::print::scalar;
use super::setting::{Kind, arguments};

/// How long the lines of comments are.
const LINE_LEN_MAX: usize = 100;

const HEAD: &str = "\
# Settings of fanfare. Every setting has the name of its flag; what stands here are the defaults.
# Flags and the environment (FANFARE_MAX_CLIENTS) win over this file.
#
# To check it:       fanfare --config FILE --check
# To see what holds: fanfare --config FILE --print-config
# To read it anew:   send SIGHUP (systemctl reload fanfare); what cannot change then is logged.
";

/// A settings file in which every setting is commented out.
pub fn settings_template() -> String {
    let command = Config::command();
    let mut text = HEAD.to_owned();
    let mut heading = "";
    for (name, argument) in arguments(&command) {
        let own = argument.get_help_heading().unwrap_or("Other");
        if own != heading {
            heading = own;
            text += &format!("\n## {heading}\n");
        }
        let help = argument.get_help().map(ToString::to_string);
        text += "\n";
        text += &comment(&help.unwrap_or_default());
        text += &format!("#{name} = {}\n", default(argument));
    }
    text
}

/// The default as the file would say it; the kind of value in angle brackets, where there is none.
fn default(argument: &Arg) -> String {
    let values = argument.get_default_values().iter();
    let values: Vec<_> = values.map(|value| value.to_string_lossy()).collect();
    match Kind::of(argument) {
        Kind::Switch => "false".to_owned(),
        Kind::List => {
            let values: Vec<_> = values.iter().map(|value| scalar(value)).collect();
            format!("[{}]", values.join(", "))
        }
        Kind::Single => match values.first() {
            Some(value) => scalar(value),
            None => {
                let names = argument.get_value_names().unwrap_or_default();
                format!("<{}>", names.first().map_or("VALUE", |name| name.as_str()))
            }
        },
    }
}

/// Lines of a comment.
fn comment(text: &str) -> String {
    let mut lines = String::new();
    let mut line = String::from("#");
    for word in text.split_whitespace() {
        if line.len() + 1 + word.len() > LINE_LEN_MAX {
            lines += &line;
            lines += "\n";
            line = String::from("#");
        }
        line += " ";
        line += word;
    }
    lines + &line + "\n"
}
