//! Regions whose blocks are of several units: a function of a program, say, with those of a library that it calls.
//!
//! Such a region comes into use when the last of its units does. Until then its head runs by itself, so no slot leads
//! there before the run loop has come by. Units that have a region in common are taken apart together, because a region
//! has to go with any of its blocks.

use super::image::Image;
use super::units::{Stage, Units};
use super::{BlockNumber, BlockRecord, RegionRecord};
use smallvec::SmallVec;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

struct Region {
    number: u32,
    head: BlockNumber,
    units: SmallVec<[u32; 2]>,
    /// Whether it is in use.
    going: AtomicBool,
}

/// All of them, by number.
#[derive(Default)]
pub struct Crossing(OnceLock<Vec<Region>>);

/// One that may come into use.
pub struct Complete<'a> {
    region: &'a Region,
    pub head: (BlockNumber, BlockRecord),
    pub record: RegionRecord,
}

impl Complete<'_> {
    pub fn set_going(&self) {
        self.region.going.store(true, Ordering::Release);
    }
}

impl Crossing {
    fn all(&self, image: &Image) -> &[Region] {
        self.0.get_or_init(|| {
            (0..image.counts.regions as u32).filter_map(|number| Region::of(image, number)).collect()
        })
    }

    /// Whether a region is one that is in use.
    pub fn is_going(&self, number: u32) -> bool {
        let all = self.0.get().map_or(&[][..], Vec::as_slice);
        let found = all.binary_search_by_key(&number, |region| region.number);
        found.is_ok_and(|at| all[at].going.load(Ordering::Acquire))
    }

    /// Those of a unit that has just come into use whose other units are in use, too.
    pub fn complete<'a>(
        &'a self,
        image: &'a Image,
        units: &'a Units,
        unit: u32,
    ) -> impl Iterator<Item = Complete<'a>> {
        let is_going = |&unit: &u32| units.stage(unit) == Stage::Together;
        let complete =
            move |region: &&Region| region.units.contains(&unit) && region.units.iter().all(is_going);
        self.all(image).iter().filter(complete).filter_map(|region| {
            let record = image.region(region.number).filter(|record| image.fits(&record.piece, 0))?;
            Some(Complete { region, head: (region.head, image.block(region.head)?), record })
        })
    }

    /// Adds the units that have a region in use in common with those of a list.
    pub fn add_linked(&self, list: &mut Vec<u32>) {
        let going = self.0.get().map_or(&[][..], Vec::as_slice).iter();
        let going: Vec<_> = going.filter(|region| region.going.load(Ordering::Acquire)).collect();
        let mut known = 0;
        while known != list.len() {
            known = list.len();
            for region in &going {
                if region.units.iter().any(|unit| list.contains(unit)) {
                    let others = region.units.iter().filter(|unit| !list.contains(unit));
                    list.extend(others.copied().collect::<SmallVec<[u32; 2]>>());
                }
            }
        }
    }
}

impl Region {
    /// The region of a number, if it is of several units and still the one that its head is entered through.
    fn of(image: &Image, number: u32) -> Option<Self> {
        let record = image.region(number).filter(|record| record.of_one_unit == 0 && record.counters == 0)?;
        let members = image.members(&record)?;
        let head = *members.first()?;
        if image.block(head)?.region != number + 1 {
            return None;
        }
        let mut units = SmallVec::new();
        for member in members {
            let unit = image.block(member)?.unit;
            if !units.contains(&unit) {
                units.push(unit);
            }
        }
        Some(Self { number, head, units, going: AtomicBool::new(false) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region(number: u32, units: &[u32], going: bool) -> Region {
        Region {
            number,
            head: BlockNumber(0),
            units: units.iter().copied().collect(),
            going: AtomicBool::new(going),
        }
    }

    #[test]
    fn units_that_have_a_region_in_use_in_common_go_together() {
        let regions = vec![region(2, &[3, 2], true), region(4, &[1, 2], true), region(7, &[3, 4], false)];
        let crossing = Crossing(OnceLock::from(regions));
        let with = |unit: u32| {
            let mut list = vec![unit];
            crossing.add_linked(&mut list);
            list.sort_unstable();
            list
        };
        assert_eq!([with(1), with(4), with(9)], [vec![1, 2, 3], vec![4], vec![9]]);
        assert_eq!([2, 3, 4, 7].map(|number| crossing.is_going(number)), [true, false, true, false]);
    }
}
