//! A strict reader of OpenMetrics text (version 1.0.0): what breaks a rule of the format is an error, also where most
//! scrapers would not mind.

#![allow(dead_code, reason = "each test file uses a part of this module")]
#![allow(clippy::panic, reason = "a test fails at a sample that is not there")]

use std::collections::{BTreeMap, BTreeSet};

/// All that a text tells.
#[derive(Debug, Default)]
pub(crate) struct Exposition {
    /// The metric families: their types, by name.
    pub(crate) families: BTreeMap<String, String>,
    /// The samples: their values, by name and labels as they are written.
    samples: BTreeMap<String, f64>,
}

impl Exposition {
    /// The value of a sample, such as `a_total{b="c"}`.
    pub(crate) fn value(&self, sample: &str) -> f64 {
        let value = self.samples.get(sample);
        *value.unwrap_or_else(|| panic!("there is no {sample} in {:?}", self.samples.keys()))
    }

    /// The names of all samples, without labels.
    pub(crate) fn names(&self) -> BTreeSet<&str> {
        let names = self.samples.keys();
        names
            .map(|sample| sample.split('{').next().unwrap_or(sample))
            .collect()
    }

    /// All values of a name, summed.
    pub(crate) fn sum(&self, name: &str) -> f64 {
        let samples = self.samples.iter();
        let of_name = samples.filter(|(sample, _)| sample.split('{').next() == Some(name));
        of_name.map(|(_, value)| value).sum()
    }
}

/// A family of which the samples come.
#[derive(Debug, Default)]
struct Family {
    name: String,
    metadata: BTreeMap<String, String>,
    has_samples: bool,
    /// The bound and the value of the bucket before.
    bucket: Option<(f64, f64)>,
}

/// Reads a whole text.
pub(crate) fn parse(text: &str) -> Result<Exposition, String> {
    let body = text.strip_suffix("# EOF\n").ok_or("the end is missing")?;
    let mut exposition = Exposition::default();
    let mut family = Family::default();
    for line in body.split_terminator('\n') {
        let parsed = match line.strip_prefix("# ") {
            Some(metadata) => parse_metadata(metadata, &mut family, &mut exposition),
            None => parse_sample(line, &mut family, &mut exposition),
        };
        parsed.map_err(|error| format!("{error}: {line:?}"))?;
    }
    finish(&family, &mut exposition)?;
    Ok(exposition)
}

fn parse_metadata(
    line: &str,
    family: &mut Family,
    exposition: &mut Exposition,
) -> Result<(), String> {
    let mut words = line.splitn(3, ' ');
    let [Some(word), Some(name), Some(value)] = [words.next(), words.next(), words.next()] else {
        return Err("three words are needed".to_owned());
    };
    if !["TYPE", "HELP", "UNIT"].contains(&word) || !is_name(name) || value.is_empty() {
        return Err("no metadata".to_owned());
    }
    if name != family.name || family.has_samples {
        finish(family, exposition)?;
        *family = Family {
            name: name.to_owned(),
            ..Family::default()
        };
    }
    if word == "UNIT" && !name.ends_with(&format!("_{value}")) {
        return Err("the name does not end with its unit".to_owned());
    }
    let known = family.metadata.insert(word.to_owned(), value.to_owned());
    match known {
        None => Ok(()),
        Some(_) => Err("said twice".to_owned()),
    }
}

/// A family is over.
fn finish(family: &Family, exposition: &mut Exposition) -> Result<(), String> {
    let Family { name, metadata, .. } = family;
    if name.is_empty() {
        return Ok(());
    }
    let kind = metadata.get("TYPE").ok_or(format!("{name} has no type"))?;
    if !metadata.contains_key("HELP") {
        return Err(format!("{name} has no help"));
    }
    if kind == "histogram" {
        let (bound, count) = family.bucket.ok_or(format!("{name} has no buckets"))?;
        let told = exposition.samples.get(&format!("{name}_count"));
        if bound != f64::INFINITY || told != Some(&count) {
            return Err(format!("the last bucket of {name} does not have all"));
        }
    }
    match exposition.families.insert(name.clone(), kind.clone()) {
        None => Ok(()),
        Some(_) => Err(format!("{name} comes twice")),
    }
}

fn parse_sample(
    line: &str,
    family: &mut Family,
    exposition: &mut Exposition,
) -> Result<(), String> {
    let name_len = line.find(['{', ' ']).ok_or("no value")?;
    let (name, rest) = line.split_at(name_len);
    let mut labels = BTreeMap::new();
    let rest = match rest.strip_prefix('{') {
        Some(rest) => parse_labels(rest, &mut labels)?,
        None => rest,
    };
    let value = rest.strip_prefix(' ').ok_or("a space is needed")?;
    let value = parse_number(value).ok_or("no number")?;
    check_sample(name, &labels, value, family)?;
    family.has_samples = true;
    let sample = line.rsplit_once(' ').map_or(line, |(sample, _)| sample);
    match exposition.samples.insert(sample.to_owned(), value) {
        None => Ok(()),
        Some(_) => Err("the sample comes twice".to_owned()),
    }
}

/// Reads labels up to the brace that ends them. Returns what follows.
fn parse_labels<'a>(
    mut rest: &'a str,
    labels: &mut BTreeMap<String, String>,
) -> Result<&'a str, String> {
    loop {
        let (name, quoted) = rest.split_once("=\"").ok_or("no label")?;
        if !is_name(name) || name.contains(':') {
            return Err(format!("{name:?} is no label"));
        }
        let mut value = String::new();
        let mut chars = quoted.chars();
        loop {
            match chars.next().ok_or("a value does not end")? {
                '"' => break,
                '\\' => value.push(match chars.next() {
                    Some('n') => '\n',
                    Some(char @ ('\\' | '"')) => char,
                    _ => return Err("an unknown escape".to_owned()),
                }),
                char => value.push(char),
            }
        }
        if labels.insert(name.to_owned(), value).is_some() {
            return Err(format!("the label {name} comes twice"));
        }
        rest = chars.as_str();
        match rest.split_at_checked(1) {
            Some(("}", rest)) => return Ok(rest),
            Some((",", next)) => rest = next,
            _ => return Err("labels end with a brace".to_owned()),
        }
    }
}

/// A sample must be what its family's type allows.
fn check_sample(
    name: &str,
    labels: &BTreeMap<String, String>,
    value: f64,
    family: &mut Family,
) -> Result<(), String> {
    let suffix = name.strip_prefix(&family.name).unwrap_or(name);
    let kind = family.metadata.get("TYPE").map_or("", String::as_str);
    let is_good = match (kind, suffix) {
        ("gauge", "") => true,
        ("counter", "_total") => value >= 0.0 && value.is_finite(),
        ("info", "_info") => value == 1.0,
        ("histogram", "_sum") => value >= 0.0 && value.is_finite(),
        ("histogram", "_count") => value >= 0.0 && value.fract() == 0.0,
        ("histogram", "_bucket") => {
            let bound = labels.get("le").and_then(|bound| parse_number(bound));
            let bound = bound.ok_or("a bucket has a bound")?;
            let rises = family
                .bucket
                .is_none_or(|(before, count)| before < bound && count <= value);
            family.bucket = Some((bound, value));
            rises && value.fract() == 0.0
        }
        _ => false,
    };
    let has_le = labels.contains_key("le");
    if !is_good || has_le != (suffix == "_bucket") {
        return Err(format!("no sample of the {kind} {:?}", family.name));
    }
    Ok(())
}

fn is_name(name: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_' || byte == b':';
    let mut bytes = name.bytes();
    bytes.next().is_some_and(is_letter)
        && bytes.all(|byte| is_letter(byte) || byte.is_ascii_digit())
}

fn parse_number(text: &str) -> Option<f64> {
    let is_plain = |byte: u8| byte.is_ascii_digit() || b"+-.e".contains(&byte);
    match text {
        "+Inf" => Some(f64::INFINITY),
        _ if text.bytes().all(is_plain) => text.parse().ok(),
        _ => None,
    }
}

#[test]
fn what_breaks_a_rule_of_the_format_is_refused() {
    let gauge = "# TYPE a gauge\n# HELP a A thing\na 1\n";
    let counter = "# TYPE b counter\n# HELP b Things\nb_total{c=\"d\\\"e\"} 2.5\n";
    let buckets = "d_bucket{le=\"0.5\"} 1\nd_bucket{le=\"+Inf\"} 2\n";
    let histogram = format!("# TYPE d histogram\n# HELP d Times\nd_sum 1e-3\nd_count 2\n{buckets}");
    let good = format!("{gauge}{counter}{histogram}# EOF\n");
    let parsed = parse(&good).expect("it is good");
    assert_eq!(parsed.value("b_total{c=\"d\\\"e\"}"), 2.5);
    for (from, to) in [
        ("# EOF\n", ""),
        ("# EOF\n", "# EOF\n\n"),
        ("a 1\n", "a 1\na 1\n"),
        ("a 1\n", "a  1\n"),
        ("a 1\n", "a one\n"),
        ("a 1\n", "\na 1\n"),
        ("a 1\n", "a_total 1\n"),
        (
            "a 1\n",
            "a 1\n# TYPE a gauge\n# HELP a A thing\na{b=\"c\"} 1\n",
        ),
        ("# TYPE a gauge\n", ""),
        ("# HELP a A thing\n", ""),
        ("# HELP a A thing\n", "# HELP a A thing\n# HELP a A thing\n"),
        ("# HELP a A thing\n", "# HELP a A thing\n# UNIT a bytes\n"),
        ("b_total", "b"),
        ("b_total", "a"),
        (" 2.5", " -1"),
        ("c=\"", "c="),
        ("c=\"", "c=\"x\",c=\""),
        ("\\\"", "\""),
        ("\\\"", "\\x"),
        ("le=\"0.5\"} 1", "le=\"0.5\"} 3"),
        ("le=\"+Inf\"} 2", "le=\"1\"} 2"),
        ("d_count 2", "d_count 3"),
    ] {
        let bad = good.replacen(from, to, 1);
        assert_ne!(bad, good, "{from:?}");
        assert!(parse(&bad).is_err(), "{from:?} to {to:?}");
    }
}
