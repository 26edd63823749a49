//! Random instructions with random operands, on all tiers and on the host CPU: so many of every opcode.

use crate::case::{Case, Outcome, Rng};
use crate::compare::{difference, host_form, is_excused};
use crate::generate::{MAPS, encode};
use crate::machine::Machine;
use crate::tiers::Tier;
use crate::values::prepare;
use crate::{oracle, text};
use iced_x86::Instruction;
use std::collections::BTreeMap;

/// Runs `per_opcode` cases of every opcode; gives failures by mnemonic.
pub fn compare(seed: u64, per_opcode: usize, only: Option<&str>) -> (usize, BTreeMap<String, Vec<String>>) {
    let mut rng = Rng(seed);
    let mut machine = Machine::new();
    let (mut failures, mut count) = (BTreeMap::<String, Vec<String>>::new(), 0);
    let mut batch = Vec::new();
    let mut missing = BTreeMap::<String, usize>::new();
    for &map in MAPS {
        for opcode in 0..=255u8 {
            for _ in 0..per_opcode {
                let Some((mut case, insn)) = encode(&mut rng, map, opcode) else { continue };
                let name = format!("{:?}", insn.mnemonic()).to_lowercase();
                prepare(&mut rng, &mut case, &insn);
                if only.is_some_and(|only| only != name) || is_excused(&insn, &case) {
                    continue;
                }
                if machine.load(&case) {
                    batch.push((case, insn));
                } else {
                    *missing.entry(name).or_default() += 1;
                }
            }
            if batch.len() >= 2000 || opcode == 255 {
                count += batch.len();
                run_batch(&mut machine, &mut batch, &mut failures);
            }
        }
    }
    println!("not implemented: {missing:?}");
    (count, failures)
}

/// The host's outcomes, as if it had run the cases in our form.
pub fn host_outcomes(cases: &[(Case, Instruction)]) -> oracle::Outcomes {
    let forms: Vec<Case> = cases.iter().map(|(case, insn)| host_form(case, insn)).collect();
    let mut outcomes = oracle::run_all(&forms);
    for (outcome, ((case, _), form)) in outcomes.iter_mut().zip(cases.iter().zip(&forms)) {
        if outcome.signal == 0 {
            outcome.after.rip -= (form.len - case.len) as u64;
        }
    }
    outcomes
}

fn run_batch(
    machine: &mut Machine,
    batch: &mut Vec<(Case, Instruction)>,
    failures: &mut BTreeMap<String, Vec<String>>,
) {
    let host = host_outcomes(batch);
    let mut ours = Box::new(Outcome::new());
    for ((case, insn), host) in batch.drain(..).zip(host.iter()) {
        machine.load(&case);
        for tier in Tier::ALL {
            if !machine.can_run(tier, &case) {
                continue;
            }
            machine.run(&case, tier, &mut ours);
            if let Some(found) = difference(&[insn], &ours, host) {
                let name = format!("{:?}", insn.mnemonic()).to_lowercase();
                let line = format!("{tier:?} {:?} {}", insn.code(), text::line(&case, &found));
                failures.entry(name).or_default().push(line);
            }
        }
    }
}
