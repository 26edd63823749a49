//! Making a mismatch smaller: the sequence alone, then with fewer instructions.

use super::image::Template;
use super::runs::{Mismatch, again};
use super::{Guest, Program};
use std::time::{Duration, Instant};

/// No more time than this.
const TIME: Duration = Duration::from_secs(240);

/// Prints what is left of the sequence where it still goes wrong.
pub fn tell<G: Guest>(template: &Template, program: &Program<G>, found: &Mismatch) {
    let begin = Instant::now();
    let alone = Program::<G> { pieces: vec![program.pieces[found.sequence].clone()] };
    let Some(mut left) = again(template, &alone, &found.setting) else {
        println!("     not alone: only with the sequences around it");
        return;
    };
    let mut small = alone;
    for instruction in (0..G::len(&small.pieces[0].0)).rev() {
        if begin.elapsed() > TIME {
            break;
        }
        let mut smaller = small.clone();
        smaller.pieces[0].0 = G::without(&small.pieces[0].0, instruction);
        if let Some(found) = again(template, &smaller, &found.setting) {
            (small, left) = (smaller, found);
        }
    }
    println!("shrunk: {}: {}\n     {}", left.setting, left.text, small.describe(0));
}
