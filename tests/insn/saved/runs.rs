//! Running a program's file in all the ways there are, and comparing what it wrote.

use super::image::{self, Image, Template, scratch};
use super::{Guest, Manner, Program, Reach, STATES, Shape};
use crate::harness::{start, watch};
use std::collections::BTreeMap;
use std::fmt;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// No run may take longer, on a busy machine.
const TIME_LIMIT: Duration = Duration::from_secs(120);
/// Rounds that are enough where more of them lead no further.
const FEW: u64 = 24;
const EVERY: u64 = u64::MAX;

/// A directory with a program's file and a place for its code, for as long as this is there.
pub struct Place {
    directory: PathBuf,
}

impl Place {
    pub fn new(name: &str) -> Self {
        let directory = scratch(&format!("saved-{name}"));
        let _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir_all(directory.join("cache")).unwrap();
        std::fs::set_permissions(directory.join("cache"), PermissionsExt::from_mode(0o700)).unwrap();
        Self { directory }
    }

    /// Writes the file: the same one, and with the same time, if it was there before, so that only its content tells.
    pub fn put(&self, image: &Image) {
        use std::os::unix::fs::FileExt;
        let path = self.directory.join("program");
        let before = std::fs::metadata(&path).and_then(|m| m.modified()).ok();
        let file = std::fs::File::options().write(true).create(true).truncate(false).open(&path).unwrap();
        file.write_all_at(&image.bytes, 0).unwrap();
        file.set_permissions(PermissionsExt::from_mode(0o755)).unwrap();
        if let Some(before) = before {
            file.set_modified(before).unwrap();
        }
    }

    fn program(&self) -> String {
        self.directory.join("program").to_str().unwrap().to_owned()
    }

    fn cache(&self) -> String {
        self.directory.join("cache").to_str().unwrap().to_owned()
    }

    /// How many files of saved code there are.
    fn files(&self) -> usize {
        std::fs::read_dir(self.cache()).unwrap().count()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// What a process wrote, or how it ended; and what it said.
type Written = Result<(Vec<u8>, String), String>;

fn written(mut command: Command, limit: u64) -> Written {
    command.arg(limit.to_string());
    let child = start(&mut command);
    let watchdog = watch(child.id() as i32, TIME_LIMIT);
    let output = child.wait_with_output().unwrap();
    drop(watchdog);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let is_expected = said.lines().all(|line| line.contains("stats: "));
    if output.status.success() && is_expected {
        Ok((output.stdout, said))
    } else {
        Err(format!("{}: {said}", output.status))
    }
}

pub fn oracle<G: Guest>(place: &Place, limit: u64) -> Vec<u8> {
    written(G::oracle(&place.program()), limit).unwrap_or_else(|end| panic!("the oracle ended with {end}")).0
}

/// Where each sequence has faulted, in the first rounds.
pub fn faulted<G: Guest>(template: &Template, program: &Program<G>) -> Vec<Vec<usize>> {
    let place = Place::new(&format!("{}-faults", G::NAME));
    place.put(&Image::new(template, program));
    let written = oracle::<G>(&place, STATES as u64);
    let one = |(number, (piece, shape)): (usize, &(G::Piece, Shape))| {
        let (outcome, at) = (Outcome::of::<G>(&written, number), image::place::<G>(number));
        (0..STATES).filter_map(|state| G::faulted(piece, (at, shape), outcome.record::<G>(state))).collect()
    };
    program.pieces.iter().enumerate().map(one).collect()
}

/// How the emulator runs a program.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Setting {
    tier: &'static str,
    limit: u64,
    /// Which of the runs with saved code it is.
    cached: Option<usize>,
    /// Whether another program is in the file.
    changed: bool,
}

const fn without(tier: &'static str, limit: u64) -> Setting {
    Setting { tier, limit, cached: None, changed: false }
}

/// Without saved code.
const OFF: [Setting; 4] =
    [without("auto", EVERY), without("template", EVERY), without("jit", FEW), without("interp", FEW)];
/// One after the other, with the same saved code: cold and three times warm; with a changed file, and then with that as it was.
pub fn cached(manner: Manner) -> [Setting; 7] {
    let with = |number| Setting { cached: Some(number), ..without("auto", EVERY) };
    let changed = |number| Setting { changed: true, ..with(number) };
    let first = Setting { limit: if manner.short_first { FEW } else { EVERY }, ..with(0) };
    [first, with(1), with(2), with(3), changed(4), changed(5), with(6)]
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.cached {
            None => write!(f, "--cache off --tier {}", self.tier),
            Some(0) => write!(f, "cold"),
            Some(n) if self.changed => write!(f, "warm {n}, with another byte in the file"),
            Some(n) => write!(f, "warm {n}"),
        }
    }
}

/// Runs the file that is there.
pub fn emulated<G: Guest>(place: &Place, manner: Manner, setting: &Setting) -> Written {
    let mut command = Command::new(G::EMULATOR);
    let cache = if setting.cached.is_some() { place.cache() } else { "off".to_owned() };
    command.args(["-cache", &cache, "-tier", setting.tier]).args(G::options());
    if manner.counted {
        command.args(["-d", "stats"]);
    }
    command.arg(place.program());
    written(command, setting.limit)
}

/// A sequence with which something was wrong.
#[derive(Clone)]
pub struct Mismatch {
    pub setting: Setting,
    pub sequence: usize,
    pub text: String,
}

/// What was done.
#[derive(Default)]
pub struct Counts {
    programs: u64,
    runs: u64,
    instructions: usize,
    faults: u64,
    reach: BTreeMap<String, u64>,
    /// By setting: guest instructions interpreted, in templates and in regions, and blocks of saved code.
    stats: BTreeMap<String, [u64; 4]>,
    mismatches: usize,
}

impl Counts {
    fn note<G: Guest>(&mut self, program: &Program<G>, expected: &[u8]) {
        self.programs += 1;
        for (number, (piece, shape)) in program.pieces.iter().enumerate() {
            *self.reach.entry(format!("{:?}", shape.reach())).or_default() += 1;
            self.instructions += G::len(piece);
            self.faults += Outcome::of::<G>(expected, number).word(2);
        }
    }

    /// Notes what the emulator said at its end.
    fn note_stats(&mut self, setting: &Setting, said: &str) {
        let number = |before: &str| -> Option<u64> {
            let start = &said[..said.find(before)?];
            start.rsplit([' ', ',']).next()?.parse().ok()
        };
        let parts =
            [" interpreted (", " in templates (", " in regions (", " blocks of saved code"].map(number);
        let [Some(_), ..] = parts else { return };
        let sums = self.stats.entry(setting.to_string()).or_default();
        sums.iter_mut().zip(parts).for_each(|(sum, part)| *sum += part.unwrap_or(0));
        let in_use = parts[3].unwrap_or(0);
        let warm = setting.cached.is_some_and(|number| number > 0);
        assert!(!warm || in_use > 100, "{setting}: {in_use} blocks of saved code");
    }

    pub fn print(&self, name: &str) {
        let sequences: u64 = self.reach.values().sum();
        println!(
            "{name}: {} programs, {} runs of them, {sequences} sequences of {} instructions, {} faults in a run of each",
            self.programs, self.runs, self.instructions, self.faults
        );
        println!("sequences by what they are to reach: {:?}", self.reach);
        for (setting, [interpreted, templates, regions, saved]) in &self.stats {
            println!(
                "{setting}: instructions interpreted {interpreted}, in templates {templates}, in regions {regions}; \
                 blocks of saved code {saved}"
            );
        }
        println!("mismatches {}", self.mismatches);
    }
}

/// What a process wrote of one sequence.
struct Outcome<'a>(&'a [u8]);

impl<'a> Outcome<'a> {
    fn of<G: Guest>(written: &'a [u8], number: usize) -> Self {
        let len = Self::HEAD + 2 * STATES * G::RECORD;
        Self(&written[number * len..][..len])
    }

    const HEAD: usize = 64;

    fn word(&self, n: usize) -> u64 {
        u64::from_le_bytes(self.0[8 * n..8 * n + 8].try_into().unwrap())
    }

    /// After the first, or the last, round of a state.
    fn record<G: Guest>(&self, number: usize) -> &'a [u8] {
        &self.0[Self::HEAD + number * G::RECORD..][..G::RECORD]
    }
}

/// What is different in one sequence.
fn different<G: Guest>(program: &Program<G>, sequence: usize, ours: &[u8], theirs: &[u8]) -> Option<String> {
    let (ours, theirs) = (Outcome::of::<G>(ours, sequence), Outcome::of::<G>(theirs, sequence));
    let (piece, shape) = &program.pieces[sequence];
    let at = (image::place::<G>(sequence), shape);
    for number in 0..2 * STATES {
        let (a, b) = (ours.record::<G>(number), theirs.record::<G>(number));
        let round = if number < STATES { "first" } else { "last" };
        let found = (a != b).then(|| G::difference(piece, number % STATES, at, a, b)).flatten();
        if let Some(line) = found {
            return Some(format!("after the {round} round: {line}"));
        }
    }
    let names = ["the hash of all rounds", "memory", "the number of faults"];
    let found = (0..3).find(|&n| ours.word(n) != theirs.word(n))?;
    Some(format!("{} is {:#x}, not {:#x}", names[found], ours.word(found), theirs.word(found)))
}

/// The sequences that differ.
pub fn compare<G: Guest>(
    program: &Program<G>,
    setting: &Setting,
    ours: Result<&[u8], &String>,
    theirs: &[u8],
) -> Vec<Mismatch> {
    let mismatch = |sequence, text| Mismatch { setting: *setting, sequence, text };
    let len = Outcome::HEAD + 2 * STATES * G::RECORD;
    let ours = match ours {
        Ok(ours) if ours.len() == theirs.len() => ours,
        Ok(ours) => return vec![mismatch(ours.len() / len, format!("{} bytes written", ours.len()))],
        Err(end) => return vec![mismatch(0, format!("the emulator ended with {end}"))],
    };
    let one = |number| Some(mismatch(number, different(program, number, ours, theirs)?));
    (0..program.pieces.len()).filter_map(one).collect()
}

/// Runs a program in all ways.
pub fn whole<G: Guest>(template: &Template, program: &Program<G>, counts: &mut Counts) -> Vec<Mismatch> {
    let place = Place::new(G::NAME);
    let (image, other) = (Image::new(template, program), Image::new(template, &changed(program)));
    place.put(&other);
    let changed = oracle::<G>(&place, EVERY);
    place.put(&image);
    let (all, few) = (oracle::<G>(&place, EVERY), oracle::<G>(&place, FEW));
    assert!(changed != all, "a changed program does the same");
    counts.note(program, &all);
    let mut wrong = Vec::new();
    for setting in OFF.iter().chain(&cached(program.manner)) {
        let expected = if setting.changed { &changed } else { &all };
        let expected = if setting.limit == FEW { &few } else { expected };
        place.put(if setting.changed { &other } else { &image });
        let written = emulated::<G>(&place, program.manner, setting);
        counts.runs += 1;
        if let Ok((_, said)) = &written {
            counts.note_stats(setting, said);
        }
        wrong.extend(compare(program, setting, written.as_ref().map(|(bytes, _)| &bytes[..]), expected));
        // The changed file is the same one to the emulator, until it looks at the content.
        assert!(setting.cached.is_none() || place.files() == 1, "{setting}: {} files", place.files());
    }
    counts.mismatches += wrong.len();
    wrong
}

/// The program with another byte in a sequence of each reach.
pub fn changed<G: Guest>(program: &Program<G>) -> Program<G> {
    let mut changed = program.clone();
    for reach in Reach::ALL {
        if let Some((_, shape)) = changed.pieces.iter_mut().rev().find(|(_, shape)| shape.reach() == reach) {
            shape.tag ^= 1;
        }
    }
    changed
}

/// What goes wrong first where the emulator runs `other` (as a rule the same) so; with saved code, in the runs before it, too.
pub fn again<G: Guest>(
    template: &Template,
    (program, other): (&Program<G>, &Program<G>),
    setting: &Setting,
) -> Option<Mismatch> {
    let place = Place::new(&format!("{}-again", G::NAME));
    let cached = cached(program.manner);
    let settings = if setting.cached.is_some() { &cached[..] } else { std::slice::from_ref(setting) };
    settings.iter().find_map(|setting| {
        let image = |program: &Program<G>| {
            if setting.changed {
                Image::new(template, &changed(program))
            } else {
                Image::new(template, program)
            }
        };
        place.put(&image(program));
        let expected = oracle::<G>(&place, setting.limit);
        place.put(&image(other));
        let written = emulated::<G>(&place, program.manner, setting);
        let ours = written.as_ref().map(|(bytes, _)| &bytes[..]);
        compare(program, setting, ours, &expected).into_iter().next()
    })
}
