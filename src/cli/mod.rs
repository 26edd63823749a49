//! The command line: qemu-user's options, and ours.
//!
//! qemu accepts long options with one dash and everything after the program belongs to the guest, which
//! clap alone cannot express. So arguments are first normalised from the option table (two dashes for
//! all, a value joined by `=`), then parsed by clap, which is built from the same table.

pub mod options;

use clap::{Arg, ArgAction, ArgMatches, Command};
use options::{OPTIONS, OptionRow, Support, Takes};
use std::ffi::CString;

/// What the user asked for, as text: by option name.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    values: Vec<(&'static str, String)>,
    /// The options as they stood on the command line or in the environment, to be given again.
    pub own_args: Vec<String>,
}

impl Settings {
    /// The value of an option; the last one counts.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.iter().rev().find(|(n, _)| *n == name).map(|(_, v)| v.as_str())
    }

    /// All values of an option, in order.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> + 'a {
        self.in_order().filter(move |(n, _)| *n == name).map(|(_, v)| v)
    }

    /// All options with their values, in order: first those of the environment.
    pub fn in_order(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.values.iter().map(|(name, value)| (*name, value.as_str()))
    }

    #[must_use]
    pub fn is_set(&self, name: &str) -> bool {
        self.values.iter().any(|(n, _)| *n == name)
    }
}

/// A command line that cannot be followed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum UsageError {
    #[error("unknown option {0} (-h lists them)")]
    Unknown(String),
    #[error("option {0} needs a value (-h lists what)")]
    MissingValue(String),
    #[error("option -{0} is not supported yet")]
    NotYet(&'static str),
    #[error("environment variable {0} asks for option -{1}, which is not supported yet")]
    NotYetVariable(&'static str, &'static str),
    #[error("no program given (usage: [options] program [arguments...]; -h explains)")]
    NoProgram,
    #[error("{0}")]
    Invalid(String),
}

/// A parsed command line.
#[derive(Clone, Debug)]
pub struct CommandLine {
    pub settings: Settings,
    /// The program and its arguments; empty where an option like -h needs none.
    pub guest: Vec<CString>,
}

/// Splits arguments (without argv[0]) at the program and parses what is before it.
pub fn parse(
    args: &[CString],
    environment: impl Fn(&str) -> Option<String>,
) -> Result<CommandLine, UsageError> {
    let (normalised, rest) = normalise(args)?;
    let mut settings = from_environment(environment)?;
    let matches = command()
        .try_get_matches_from(&normalised)
        .map_err(|error| UsageError::Invalid(error.to_string()))?;
    for (_, row, value) in in_order(&matches) {
        add(&mut settings, row, value)?;
    }
    Ok(CommandLine { settings, guest: rest.to_vec() })
}

/// The options of the command line as they stood there: of several that change one thing, the last counts.
fn in_order(matches: &ArgMatches) -> Vec<(usize, &'static OptionRow, &str)> {
    let mut found = Vec::new();
    for row in OPTIONS {
        let places = matches.indices_of(row.name).into_iter().flatten();
        match row.takes {
            Takes::Nothing if matches.get_count(row.name) == 0 => {}
            Takes::Nothing => found.extend(places.map(|place| (place, row, ""))),
            Takes::Value(_) => {
                let values = matches.get_many::<String>(row.name).into_iter().flatten();
                found.extend(places.zip(values).map(|(place, value)| (place, row, value.as_str())));
            }
        }
    }
    found.sort_by_key(|(place, ..)| *place);
    found
}

fn add(settings: &mut Settings, row: &'static OptionRow, value: &str) -> Result<(), UsageError> {
    if row.support == Support::NotYet {
        return Err(UsageError::NotYet(row.name));
    }
    settings.own_args.push(format!("-{}", row.name));
    if row.takes != Takes::Nothing {
        settings.own_args.push(value.to_owned());
    }
    settings.values.push((row.name, value.to_owned()));
    Ok(())
}

/// Options that environment variables set; a flag's variable counts when it is there at all, as qemu's.
fn from_environment(environment: impl Fn(&str) -> Option<String>) -> Result<Settings, UsageError> {
    let mut settings = Settings::default();
    for row in OPTIONS.iter().filter(|row| !row.env.is_empty()) {
        match environment(row.env) {
            Some(_) if row.support == Support::NotYet => {
                return Err(UsageError::NotYetVariable(row.env, row.name));
            }
            Some(value) => add(&mut settings, row, &value)?,
            None => {}
        }
    }
    Ok(settings)
}

/// Our options as `--name` or `--name=value`, and what follows them.
fn normalise(args: &[CString]) -> Result<(Vec<String>, &[CString]), UsageError> {
    let mut out = vec!["qemu-lua".to_owned()];
    let mut rest = args;
    while let Some((first, after)) = rest.split_first() {
        let text = first.to_string_lossy();
        if text == "--" {
            return Ok((out, after));
        }
        if !text.starts_with('-') || text.len() < 2 {
            break;
        }
        let (name, joined) = match text.split_once('=') {
            Some((name, value)) if options::find(name).is_some() => (name.to_owned(), Some(value.to_owned())),
            _ => (text.clone().into_owned(), None),
        };
        let row = options::find(&name).ok_or_else(|| UsageError::Unknown(text.clone().into_owned()))?;
        rest = after;
        match (row.takes, joined) {
            (Takes::Nothing, _) => out.push(format!("--{}", row.name)),
            (Takes::Value(_), Some(value)) => out.push(format!("--{}={value}", row.name)),
            (Takes::Value(_), None) => {
                let (value, after) = rest.split_first().ok_or(UsageError::MissingValue(name))?;
                out.push(format!("--{}={}", row.name, value.to_string_lossy()));
                rest = after;
            }
        }
    }
    Ok((out, rest))
}

/// The clap command, from the option table.
fn command() -> Command {
    let base = Command::new("qemu-lua").disable_help_flag(true).disable_version_flag(true);
    OPTIONS.iter().fold(base, |command, row| {
        let arg = Arg::new(row.name).long(row.name);
        command.arg(match row.takes {
            Takes::Nothing => arg.action(ArgAction::Count),
            Takes::Value(name) => arg.action(ArgAction::Append).value_name(name).require_equals(true),
        })
    })
}

/// A size such as `8M`, `0x800000` or `8388608`.
#[must_use]
pub fn parse_size(text: &str) -> Option<u64> {
    let (digits, scale) = match text.char_indices().last()? {
        (at, 'k' | 'K') => (&text[..at], 1 << 10),
        (at, 'm' | 'M') => (&text[..at], 1 << 20),
        (at, 'g' | 'G') => (&text[..at], 1 << 30),
        (at, 't' | 'T') => (&text[..at], 1 << 40),
        _ => (text, 1),
    };
    parse_number(digits)?.checked_mul(scale)
}

/// A number, decimal, or hexadecimal with 0x.
#[must_use]
pub fn parse_number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<CString> {
        text.split_whitespace().map(|w| CString::new(w).unwrap()).collect()
    }

    fn parsed(text: &str) -> Result<CommandLine, UsageError> {
        parse(&words(text), |_| None)
    }

    #[test]
    fn one_and_two_dashes_mean_the_same() {
        for text in ["-L /root -strace prog -x", "--L /root --strace prog -x", "--L=/root -strace prog -x"] {
            let line = parsed(text).unwrap();
            assert_eq!(line.settings.get("L"), Some("/root"));
            assert!(line.settings.is_set("strace"));
            assert_eq!(line.guest, words("prog -x"));
        }
    }

    #[test]
    fn what_follows_the_program_is_the_guests() {
        let line = parsed("-cpu max prog -h --rules x").unwrap();
        assert_eq!(line.guest, words("prog -h --rules x"));
        assert!(!line.settings.is_set("rules"));
    }

    #[test]
    fn errors_name_the_option() {
        assert_eq!(parsed("-frob prog").unwrap_err(), UsageError::Unknown("-frob".to_owned()));
        assert_eq!(parsed("-L").unwrap_err(), UsageError::MissingValue("-L".to_owned()));
        assert_eq!(parsed("-g 1234 prog").unwrap_err(), UsageError::NotYet("g"));
        let gdb = |name: &str| (name == "QEMU_GDB").then(|| "1234".to_owned());
        assert_eq!(parse(&words("prog"), gdb).unwrap_err(), UsageError::NotYetVariable("QEMU_GDB", "g"));
    }

    #[test]
    fn the_command_line_beats_the_environment() {
        let env = |name: &str| (name == "QEMU_CPU").then(|| "a".to_owned());
        let line = parse(&words("-cpu b prog"), env).unwrap();
        assert_eq!(line.settings.get("cpu"), Some("b"));
        assert_eq!(line.settings.own_args, ["-cpu", "a", "-cpu", "b"]);
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!(parse_size("8M"), Some(8 << 20));
        assert_eq!(parse_size("0x1000"), Some(4096));
        assert_eq!(parse_size("4T"), Some(1 << 42));
        assert_eq!(parse_size("x"), None);
    }
}
