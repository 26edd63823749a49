//! Known differences: read from the list, compared with what was found.
//!
//! A line is `what differs | bytes of an example | our reading | the other's`.

use std::collections::BTreeMap;

/// What was found: what differs, and its first example.
#[derive(Default)]
pub struct Differences {
    found: BTreeMap<String, Example>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Example {
    pub bytes: Vec<u8>,
    pub ours: String,
    pub theirs: String,
}

impl Differences {
    pub fn add(&mut self, what: String, example: impl FnOnce() -> Example) {
        self.found.entry(what).or_insert_with(example);
    }

    /// Nothing is new, and each example of the list still reads as it says.
    pub fn are_those_of(&self, list: &str, read: impl Fn(&[u8]) -> Example) {
        if std::env::var_os("CROSS_CHECK_WRITE").is_some() {
            self.found.iter().for_each(|(what, example)| println!("{}", line(what, example)));
            return;
        }
        let known = parse(list);
        let new: Vec<_> = self.found.iter().filter(|(what, _)| !known.contains_key(*what)).collect();
        assert!(new.is_empty(), "differences that are not listed:\n{}", lines(&new));
        for (what, example) in &known {
            assert_eq!(&read(&example.bytes), example, "{what}: the example reads otherwise now");
            assert_ne!(example.ours, example.theirs, "{what}: no difference");
        }
    }
}

fn line(what: &str, example: &Example) -> String {
    let bytes: Vec<String> = example.bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{what} | {} | {} | {}", bytes.join(" "), example.ours, example.theirs)
}

fn lines(differences: &[(&String, &Example)]) -> String {
    differences.iter().map(|(what, example)| line(what, example) + "\n").collect()
}

fn parse(list: &str) -> BTreeMap<String, Example> {
    let lines = list.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let [what, bytes, ours, theirs] = line.split(" | ").collect::<Vec<_>>()[..] else {
                panic!("malformed: {line}")
            };
            let bytes = bytes.split(' ').map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
            (what.to_owned(), Example { bytes, ours: ours.to_owned(), theirs: theirs.to_owned() })
        })
        .collect()
}
