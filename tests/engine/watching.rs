//! What is made to watch the server with: the dashboard, the alert rules, and what the documents say of them.

#![allow(clippy::print_stderr, reason = "a test that is left out says so")]

use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::metrics::{BACKPLANE_NAMES, FIGURES, NAMES, node_text, scrape_text};
use crate::openmetrics::parse;
use crate::world::World;

const DASHBOARD: &str = include_str!("../../packaging/grafana-dashboard.json");
const ALERTS: &str = include_str!("../../packaging/alerts.yml");
const DOCUMENT: &str = include_str!("../../docs/operating.md");
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging");

/// The values of all fields of this name.
fn collect<'a>(value: &'a Value, name: &str, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(fields) => {
            for (field, value) in fields {
                found.extend(value.as_str().filter(|_| field == name));
                collect(value, name, found);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| collect(value, name, found)),
        _ => {}
    }
}

fn dashboard_queries() -> Vec<String> {
    let dashboard: Value = serde_json::from_str(DASHBOARD).expect("the dashboard is JSON");
    let mut queries = Vec::new();
    collect(&dashboard, "expr", &mut queries);
    collect(&dashboard, "query", &mut queries);
    queries.into_iter().map(ToOwned::to_owned).collect()
}

/// An alert rule: its name, and its fields by name, with those of the maps in it.
#[derive(Debug, Default)]
struct Rule {
    name: String,
    fields: Vec<(String, String)>,
}

impl Rule {
    fn field(&self, name: &str) -> &str {
        let mut fields = self.fields.iter().filter(|(field, _)| field == name);
        let (_, value) = fields
            .next()
            .unwrap_or_else(|| panic!("{name} of {self:?}"));
        assert!(fields.next().is_none(), "{name} twice in {self:?}");
        value
    }
}

/// The rules, read as the lines of the little YAML that they are written in.
fn rules() -> Vec<Rule> {
    let mut rules: Vec<Rule> = Vec::new();
    let mut lines = ALERTS
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'));
    for head in ["groups:", "  - name: fanfare", "    rules:"] {
        assert_eq!(lines.next(), Some(head));
    }
    for line in lines.filter(|line| !line.is_empty()) {
        assert!(!line.contains('\t') && line.trim_end() == line, "{line:?}");
        if let Some(name) = line.strip_prefix("      - alert: ") {
            let name = name.to_owned();
            let fields = Vec::new();
            rules.push(Rule { name, fields });
            continue;
        }
        let rule = rules.last_mut().expect("a rule begins with its name");
        let text = line.strip_prefix("        ").expect("a field is indented");
        let is_nested = text.starts_with("  ");
        let text = text.trim_start();
        let last = rule
            .fields
            .last_mut()
            .filter(|(_, value)| value.starts_with(">-"));
        match (last, text.split_once(':')) {
            // A folded text goes on while lines are further in.
            (Some((_, value)), _) if is_nested => *value += &format!(" {text}"),
            (_, Some((name, value))) => {
                let is_map = ["labels", "annotations"].contains(&name);
                assert_eq!(is_map, value.is_empty(), "{line:?}");
                assert!(is_map || value.starts_with(' '), "{line:?}");
                let value = value.trim_start();
                let is_quoted = value.starts_with('"');
                assert!(!is_quoted || value.len() > 1 && value.ends_with('"'));
                // A colon or a brace would mean something to YAML.
                assert!(is_quoted || !is_nested || !value.contains(": "), "{line:?}");
                rule.fields.push((name.to_owned(), value.to_owned()));
            }
            _ => panic!("{line:?}"),
        }
    }
    rules
}

/// The names of all metrics that there can be.
fn names() -> impl Iterator<Item = &'static str> {
    NAMES.into_iter().chain(BACKPLANE_NAMES)
}

/// The names in a query that are those of metrics.
fn metrics_in(query: &str) -> impl Iterator<Item = &str> {
    let is_part = |char: char| char.is_ascii_alphanumeric() || char == '_' || char == ':';
    let words = query.split(move |char| !is_part(char));
    words.filter(|word| word.starts_with("fanfare_") || word.starts_with("process_"))
}

/// The values that a query compares the label `reason` with.
fn reasons_in(query: &str) -> Vec<&str> {
    let mut parts = query.split("reason=~\"").skip(1);
    let values = parts.next().and_then(|rest| rest.split('"').next());
    values.map_or(Vec::new(), |values| values.split('|').collect())
}

#[test]
fn the_dashboard_and_the_alerts_ask_for_what_there_is() {
    let mut queries = dashboard_queries();
    assert!(queries.len() > 20, "{queries:?}");
    let alerts = rules();
    assert_eq!(alerts.len(), 8);
    queries.extend(alerts.iter().map(|rule| rule.field("expr").to_owned()));
    let told = scrape_text(&mut World::with(|_| {}));
    let mut used = BTreeSet::new();
    for query in &queries {
        for name in metrics_in(query) {
            assert!(names().any(|known| known == name), "{name} in {query}");
            used.insert(name);
        }
        for reason in reasons_in(query) {
            assert!(
                told.contains(&format!("{{reason=\"{reason}\"}}")),
                "{reason}"
            );
        }
    }
    let unused: Vec<_> = names().filter(|name| !used.contains(name)).collect();
    assert_eq!(unused, ["fanfare_turn_seconds_count"], "not to be seen");
}

#[test]
fn each_alert_says_what_it_is_and_what_to_do() {
    for rule in rules() {
        assert!(["warning", "critical"].contains(&rule.field("severity")));
        assert!(rule.field("for").ends_with('m'), "{rule:?}");
        assert!(rule.field("summary").contains("{{ $labels.instance }}"));
        assert!(rule.field("description").len() > 20, "{rule:?}");
        let advice = format!("\n**{}**: ", rule.name);
        assert!(DOCUMENT.contains(&advice), "{} in the document", rule.name);
    }
}

#[test]
fn each_metric_and_each_reason_to_close_is_explained() {
    for name in names() {
        let is_explained = ['`', '{']
            .iter()
            .any(|end| DOCUMENT.contains(&format!("`{name}{end}")));
        assert!(is_explained, "{name}");
    }
    let text = scrape_text(&mut World::with(|_| {}));
    let closes = text.lines().filter_map(|line| {
        let rest = line.strip_prefix("fanfare_closes_total{reason=\"")?;
        rest.split('"').next()
    });
    assert!(closes.clone().count() > 10);
    for reason in closes {
        assert!(DOCUMENT.contains(&format!("`{reason}`")), "{reason}");
    }
}

/// `promtool` with these arguments, or nothing where there is none.
fn promtool(arguments: &[&str]) -> Option<Command> {
    let program = std::env::var_os("PROMTOOL").unwrap_or_else(|| "promtool".into());
    let mut command = Command::new(&program);
    command
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    if !command.status().is_ok_and(|status| status.success()) {
        let is_required = std::env::var_os("FANFARE_REQUIRE_PROMTOOL").is_some();
        assert!(!is_required, "there is no promtool");
        eprintln!("NOT TESTED: this machine has no promtool");
        return None;
    }
    let mut command = Command::new(program);
    command.args(arguments).current_dir(FOLDER);
    Some(command)
}

#[test]
fn promtool_finds_nothing_wrong_with_the_rules_and_they_fire() {
    for arguments in [
        ["check", "rules", "alerts.yml"],
        ["test", "rules", "alerts.test.yml"],
    ] {
        let Some(mut command) = promtool(&arguments) else {
            return;
        };
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
}

/// The text in the older format, which is the one that `promtool` reads: there a counter has its suffix in all lines.
fn without_openmetrics(text: &str) -> String {
    let told = parse(text).unwrap();
    let mut old = String::new();
    for line in text.lines() {
        let mut words = line.splitn(4, ' ');
        let [sign, word, name, rest] = [(); 4].map(|()| words.next().unwrap_or_default());
        let kind = told.families.get(name).map(String::as_str);
        match (sign, word, kind) {
            ("#", "HELP" | "TYPE", Some("counter")) => {
                old += &format!("# {word} {name}_total {rest}\n");
            }
            ("#", "TYPE", Some("info")) => old += &format!("# TYPE {name}_info gauge\n"),
            ("#", "HELP", Some("info")) => old += &format!("# HELP {name}_info {rest}\n"),
            ("#", "UNIT" | "EOF", _) => {}
            _ => old += &format!("{line}\n"),
        }
    }
    old
}

#[test]
fn promtool_finds_nothing_wrong_with_the_metrics() {
    for text in [scrape_text(&mut World::with(|_| {})), node_text(FIGURES)] {
        check_metrics(&text);
    }
}

fn check_metrics(text: &str) {
    let Some(mut command) = promtool(&["check", "metrics"]) else {
        return;
    };
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let text = without_openmetrics(text);
    child
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(
        output.stdout.is_empty() && output.stderr.is_empty(),
        "{output:?}"
    );
}
