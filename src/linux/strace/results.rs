//! What a call gave, as text.

use super::show::{Call, io_priority};
use super::values::{self, bits, moment, name_of, number, octal, open_flags};
use super::{sets, structures};
use crate::linux::table::kinds::{Kind, Returns};
use crate::linux::table::names as n;
use crate::linux::table::shapes::Shape;

/// The text of a result that is no error.
pub fn text(call: &Call, kinds: &[Kind], returns: Returns, result: i64) -> String {
    let value = result as u64;
    match returns {
        Returns::Hex => number(value),
        Returns::Octal => octal(value),
        Returns::Never => "?".to_owned(),
        Returns::Flags(words, table) if value != 0 => format!("{value:#x} ({words}{})", bits(table, value)),
        Returns::OpenFlags => format!("{value:#x} (flags {})", open_flags(&call.layout(), value)),
        Returns::Named(table) => named(value, name_of(table, value).map(str::to_owned)),
        Returns::Signal if value != 0 => named(value, Some(values::signal(value as i32))),
        Returns::Personality => {
            named(value, Some(values::choice(n::PERSONALITY, n::PERSONALITY_FLAGS, value)))
        }
        Returns::IoPriority => format!("{} ({})", number(value), io_priority(value)),
        Returns::Moment => format!("{result} ({})", moment(result, 0, 9)),
        Returns::Polled if value == 0 => "0 (Timeout)".to_owned(),
        Returns::Polled => {
            let found = vec![sets::ready(call.args[0], call.args[1])];
            format!(
                "{result} ({})",
                found.into_iter().chain(left(call, kinds)).collect::<Vec<_>>().join(", ")
            )
        }
        Returns::Selected if value == 0 => "0 (Timeout)".to_owned(),
        Returns::Selected => {
            let found = sets::selected(call.args);
            let texts: Vec<_> = found.into_iter().chain(left(call, kinds)).collect();
            if texts.is_empty() { result.to_string() } else { format!("{result} ({})", texts.join(", ")) }
        }
        Returns::TimeLeft => match left(call, kinds) {
            Some(left) => format!("{result} ({left})"),
            None => result.to_string(),
        },
        _ => result.to_string(),
    }
}

fn named(value: u64, name: Option<String>) -> String {
    match name {
        Some(name) => format!("{value} ({name})"),
        None => (value as i64).to_string(),
    }
}

/// What is left of the time that was to be waited.
fn left(call: &Call, kinds: &[Kind]) -> Option<String> {
    kinds.iter().zip(call.args).find_map(|(kind, &addr)| match kind {
        Kind::Timeout(shape @ Shape::Same(..)) if addr != 0 => {
            Some(format!("left {}", structures::structure(&call.layout(), *shape, addr)))
        }
        _ => None,
    })
}
