//! Making a mismatch smaller: the sequence alone, then with fewer instructions.

use super::image::Template;
use super::runs::{Mismatch, again};
use super::{Guest, Program};
use std::time::{Duration, Instant};

/// No more time than this.
const TIME: Duration = Duration::from_secs(240);

/// Makes the sequence smaller as long as something goes wrong with it, where the emulator runs what `mistaken` makes of
/// it; and prints it.
pub fn tell<G: Guest>(
    template: &Template,
    program: &Program<G>,
    found: &Mismatch,
    mistaken: impl Fn(&Program<G>) -> Program<G>,
) -> Option<Program<G>> {
    let begin = Instant::now();
    let wrong = |small: &Program<G>| again(template, (small, &mistaken(small)), &found.setting);
    let mut small = Program::<G> { pieces: vec![program.pieces[found.sequence].clone()], ..program.clone() };
    let Some(mut left) = wrong(&small) else {
        println!("     not alone: only with the sequences around it");
        return None;
    };
    for instruction in (0..G::len(&small.pieces[0].0)).rev() {
        if begin.elapsed() > TIME {
            break;
        }
        let mut smaller = small.clone();
        smaller.pieces[0].0 = G::without(&small.pieces[0].0, instruction);
        if let Some(found) = wrong(&smaller) {
            (small, left) = (smaller, found);
        }
    }
    println!("shrunk: {}: {}\n     {}", left.setting, left.text, small.describe(0));
    Some(small)
}
