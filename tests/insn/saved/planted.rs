//! Mistakes to plant, to see that they are found: the emulator is given another program than the oracle.
//!
//! What it does with the other program is right; that makes it wrong for the one that it should have run, as code is
//! that was saved of something else. Nothing of the product knows of them.

use super::image::{Image, Template};
use super::runs::{Mismatch, Place, cached, changed, compare, emulated, oracle};
use super::{Guest, Manner, Program, Reach, shrink};

/// Plants each; the names of those that are not found, or not in their places.
pub fn missed<G: Guest>(guest: &mut G, seed: u64, sequences: usize) -> Vec<String> {
    let template = Template::build::<G>();
    let program = Program::<G>::random(guest, &template, seed, sequences);
    let mut planted: Vec<(String, Program<G>)> = Reach::ALL
        .iter()
        .map(|&reach| (format!("{reach:?}: an instruction is left out"), lacking(&template, &program, reach)))
        .collect();
    planted.push(("code of what was in the file before".to_owned(), changed(&program)));
    planted.push(("rounds that only the hash tells of".to_owned(), shortened(&program)));
    let mut missed = Vec::new();
    for (what, other) in planted {
        if found(&template, (&program, &other), &what).is_none_or(|(named, others, _)| named != others) {
            missed.push(what);
        }
    }
    let what = "an instruction for another".to_owned();
    let told = found(&template, (&program, &mistaken(&program)), &what)
        .filter(|(named, others, _)| named.iter().all(|number| others.contains(number)))
        .and_then(|(.., mismatch)| shrink::tell(&template, &program, &mismatch, mistaken));
    missed.extend(told.is_none().then_some(what));
    missed
}

/// Sequences in which something was found wrong, those that are others, and the first mismatch.
type Found = (Vec<usize>, Vec<usize>, Mismatch);

/// What is found where the emulator runs the second program for the first: the same, cold and warm.
fn found<G: Guest>(
    template: &Template,
    (program, other): (&Program<G>, &Program<G>),
    what: &str,
) -> Option<Found> {
    let place = Place::new(&format!("{}-planted", G::NAME));
    place.put(&Image::new(template, program));
    let expected = oracle::<G>(&place, u64::MAX);
    place.put(&Image::new(template, other));
    let code = |program: &Program<G>, number: usize| {
        let (piece, shape) = &program.pieces[number];
        (G::code(piece, G::CODE, shape), shape.rounds)
    };
    let others: Vec<usize> =
        (0..program.pieces.len()).filter(|&n| code(program, n) != code(other, n)).collect();
    let mut all = Vec::new();
    for setting in &cached(Manner::default())[..4] {
        let written = emulated::<G>(&place, Manner::default(), setting);
        let ours = written.as_ref().map(|(bytes, _)| &bytes[..]);
        let found = compare(program, setting, ours, &expected);
        all.push((found.iter().map(|mismatch| mismatch.sequence).collect::<Vec<_>>(), found));
    }
    let same = all.iter().all(|(named, _)| *named == all[0].0);
    let (named, found) = all.pop()?;
    let first = found.into_iter().next();
    let text = first.as_ref().map_or("nothing", |mismatch| &mismatch.text);
    println!("{what}: planted in {others:?}, found in {named:?}: {text}");
    same.then_some((named, others, first?))
}

/// With wrong instructions wherever some stand.
fn mistaken<G: Guest>(program: &Program<G>) -> Program<G> {
    let mut other = program.clone();
    other.pieces.iter_mut().for_each(|(piece, _)| *piece = G::mistaken(piece));
    other
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
        if !compare(program, &cached(Manner::default())[0], Ok(&writes(&other)), &expected).is_empty() {
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
