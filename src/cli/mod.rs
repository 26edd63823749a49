//! The command line: qemu-user's options, and ours.
//!
//! qemu accepts long options with one dash or two, values as the next argument or joined by `=`, and everything behind the
//! program belongs to the guest: a grammar of one page, read by the table of options. (No general parser knows it, and
//! making one ready takes a tenth of the time that a small program needs to start.)

pub mod options;

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
    #[error("option {0} takes no value (-h lists them)")]
    NoValue(String),
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

/// Splits arguments (without argv[0]) at the program and parses what is before it: of several that change one thing, the
/// last counts, and all count more than the environment.
pub fn parse(
    args: &[CString],
    environment: impl Fn(&str) -> Option<String>,
) -> Result<CommandLine, UsageError> {
    let mut settings = from_environment(environment)?;
    let mut rest = args;
    while let Some((first, after)) = rest.split_first() {
        let text = first.to_string_lossy();
        if text == "--" {
            rest = after;
            break;
        }
        if !text.starts_with('-') || text.len() < 2 {
            break;
        }
        let (name, joined) = match text.split_once('=') {
            Some((name, value)) if options::find(name).is_some() => (name, Some(value.to_owned())),
            _ => (&*text, None),
        };
        let row = options::find(name).ok_or_else(|| UsageError::Unknown(text.clone().into_owned()))?;
        rest = after;
        let value = match (row.takes, joined) {
            (Takes::Nothing, None) => String::new(),
            (Takes::Nothing, Some(_)) => return Err(UsageError::NoValue(name.to_owned())),
            (Takes::Value(_), Some(value)) => value,
            (Takes::Value(_), None) => {
                let (value, after) =
                    rest.split_first().ok_or_else(|| UsageError::MissingValue(name.to_owned()))?;
                rest = after;
                value.to_string_lossy().into_owned()
            }
        };
        add(&mut settings, row, &value)?;
    }
    Ok(CommandLine { settings, guest: rest.to_vec() })
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
        assert_eq!(parsed("-strace=1 prog").unwrap_err(), UsageError::NoValue("-strace".to_owned()));
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
