//! Mistakes to plant, to see that they are found: the emulator is given another program than the oracle.
//!
//! What it does with the other program is right; that makes it wrong for the one that it should have run, as code is
//! that was saved of something else. Nothing of the product knows of them.

use super::image::{Image, Template};
use super::runs::{CACHED, Place, changed, compare, emulated, oracle};
use super::{Guest, Program, Reach};
use crate::case::Rng;

/// Plants each; the names of those that are not found, or not in their places.
pub fn missed<G: Guest>(guest: &mut G, seed: u64, sequences: usize) -> Vec<String> {
    let template = Template::build::<G>();
    let program = Program::<G>::random(guest, &template, &mut Rng(seed), sequences);
    let mut planted: Vec<(String, Program<G>)> = Reach::ALL
        .iter()
        .map(|&reach| (format!("{reach:?}: an instruction is left out"), lacking(&template, &program, reach)))
        .collect();
    planted.push(("code of what was in the file before".to_owned(), changed(&program)));
    planted.push(("rounds that only the hash tells of".to_owned(), shortened(&program)));
    let mut missed = Vec::new();
    for (what, other) in planted {
        if !is_found(&template, &program, &other, &what) {
            missed.push(what);
        }
    }
    missed
}

/// Whether cold and warm runs of the other program are told from the program, by the sequences that are others.
fn is_found<G: Guest>(template: &Template, program: &Program<G>, other: &Program<G>, what: &str) -> bool {
    let place = Place::new(&format!("{}-planted", G::NAME));
    let image = |program| Image::new(template, program);
    place.put(&image(program));
    let expected = oracle::<G>(&place, u64::MAX);
    place.put(&image(other));
    let codes = |program: &Program<G>, number: usize| {
        let (piece, shape) = &program.pieces[number];
        (G::code(piece, G::CODE, shape), shape.rounds)
    };
    let others: Vec<usize> =
        (0..program.pieces.len()).filter(|&n| codes(program, n) != codes(other, n)).collect();
    let mut all = true;
    for setting in &CACHED[..4] {
        let found = compare(program, setting, &emulated::<G>(&place, setting), &expected);
        let named: Vec<usize> = found.iter().map(|mismatch| mismatch.sequence).collect();
        all &= named == others;
        if setting == &CACHED[3] {
            let text = found.first().map_or("nothing", |mismatch| &mismatch.text);
            println!("{what}: planted in {others:?}, found in {named:?}: {text}");
        }
    }
    all
}

/// Without an instruction that matters, in a sequence of that reach.
fn lacking<G: Guest>(template: &Template, program: &Program<G>, reach: Reach) -> Program<G> {
    let place = Place::new(&format!("{}-planting", G::NAME));
    let writes = |program: &Program<G>| {
        place.put(&Image::new(template, program));
        oracle::<G>(&place, u64::MAX)
    };
    let expected = writes(program);
    let numbers = (0..program.pieces.len()).filter(|&n| program.pieces[n].1.reach() == reach);
    for number in numbers {
        let mut other = program.clone();
        let piece = &mut other.pieces[number].0;
        *piece = G::without(piece, G::len(piece) / 2);
        if !compare(program, &CACHED[0], &Ok(writes(&other)), &expected).is_empty() {
            return other;
        }
    }
    panic!("no instruction of any sequence that reaches {reach:?} matters");
}

/// With a few rounds less of what is hot.
fn shortened<G: Guest>(program: &Program<G>) -> Program<G> {
    let mut other = program.clone();
    let hot = |shape: &super::Shape| shape.reach() == Reach::Region;
    let shape = other.pieces.iter_mut().map(|(_, shape)| shape).find(|shape| hot(shape));
    if let Some(shape) = shape {
        shape.rounds -= super::STATES as u64;
    }
    other
}
