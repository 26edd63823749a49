//! Modules: finds them, and knows which rule depends on which.
//!
//! A rule that has taken something out of a module must be loaded anew when the module changes, and
//! only then: other rules keep their state.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::source::Source;
use super::store::Patience;
use super::{ReloadMode, Rules, Snapshot, lock};
use crate::host::lua::Services;

/// In a unit's number: it is a module, not a rule.
const MODULE: u64 = 1 << 63;

/// One thread's view of the scripts.
pub(super) struct Library {
    rules: Arc<Rules>,
    pub(super) snapshot: RefCell<Arc<Snapshot>>,
    /// What runs: a system call number, or a module's index with [`MODULE`].
    unit: Cell<u64>,
    modules: RefCell<Modules>,
}

#[derive(Default)]
struct Modules {
    index: HashMap<String, u64>,
    known: Vec<Module>,
    /// Unit to the modules it has required.
    needs: BTreeMap<u64, BTreeSet<u64>>,
}

struct Module {
    name: String,
    /// The version last seen; 0 if there was none.
    version: u64,
}

/// What a look at the modules has found.
#[derive(Default)]
pub(super) struct Outdated {
    /// Modules to be loaded anew.
    pub(super) modules: Vec<String>,
    /// Rules that depend on them.
    pub(super) rules: HashSet<u64>,
}

impl Library {
    pub(super) fn new(rules: Arc<Rules>) -> Self {
        Self { rules, snapshot: RefCell::default(), unit: Cell::new(0), modules: RefCell::default() }
    }

    /// The rule `number` runs from now on.
    #[inline]
    pub(super) fn enter_rule(&self, number: u64) {
        self.unit.set(number);
    }

    /// The rule is about to be loaded anew.
    pub(super) fn forget_needs(&self, number: u64) {
        self.modules.borrow_mut().needs.remove(&number);
    }

    /// The good version of a script now.
    pub(super) fn current(&self, path: &str) -> Option<Arc<Source>> {
        if self.rules.options.reload == ReloadMode::Watch {
            return self.snapshot.borrow().files.get(path).cloned();
        }
        let mut store = lock(&self.rules.store);
        store.refresh(path, Patience::None);
        let source = store.good(path).cloned();
        self.rules.tell(store);
        source
    }

    fn locate(&self, module: &str) -> Option<Arc<Source>> {
        let path = module.replace('.', "/");
        if path.split('/').any(str::is_empty) {
            return None;
        }
        self.current(&format!("{path}.lua")).or_else(|| self.current(&format!("{path}/init.lua")))
    }

    fn version(&self, module: &str) -> u64 {
        self.locate(module).map_or(0, |source| source.id)
    }

    /// Looks at all modules that were ever asked for.
    pub(super) fn outdated(&self) -> Outdated {
        if self.modules.borrow().known.is_empty() {
            return Outdated::default();
        }
        let mut modules = self.modules.borrow_mut();
        let mut changed = BTreeSet::new();
        for (index, module) in (0..).zip(&mut modules.known) {
            let version = self.version(&module.name);
            if version != module.version {
                module.version = version;
                changed.insert(index | MODULE);
            }
        }
        modules.spread(changed)
    }

    /// Every module, and every rule that has any.
    pub(super) fn all(&self) -> Outdated {
        let modules = self.modules.borrow();
        modules.spread((0..modules.known.len() as u64).map(|index| index | MODULE).collect())
    }
}

impl Modules {
    fn number(&mut self, name: &str) -> u64 {
        if let Some(&index) = self.index.get(name) {
            return index | MODULE;
        }
        let index = self.known.len() as u64;
        self.index.insert(name.to_owned(), index);
        self.known.push(Module { name: name.to_owned(), version: 0 });
        index | MODULE
    }

    /// What depends on `units`, directly or not.
    fn spread(&self, mut units: BTreeSet<u64>) -> Outdated {
        loop {
            let before = units.len();
            let dependents = self.needs.iter().filter(|(_, needs)| !needs.is_disjoint(&units));
            let dependents: Vec<u64> = dependents.map(|(&unit, _)| unit).collect();
            units.extend(dependents);
            if units.len() == before {
                break;
            }
        }
        let name = |unit: &u64| self.known.get(usize::try_from(unit & !MODULE).ok()?).map(|m| m.name.clone());
        let (modules, rules): (Vec<_>, Vec<_>) = units.into_iter().partition(|unit| unit & MODULE != 0);
        Outdated { modules: modules.iter().filter_map(name).collect(), rules: rules.into_iter().collect() }
    }
}

impl Services for Library {
    fn log(&self, message: &[u8]) {
        self.rules.log().message(message);
    }

    fn depends_on(&self, module: &str) {
        let unit = self.unit.get();
        let mut modules = self.modules.borrow_mut();
        let before = modules.known.len();
        let needed = modules.number(module);
        modules.needs.entry(unit).or_default().insert(needed);
        if modules.known.len() > before {
            let version = self.version(module);
            if let Some(last) = modules.known.last_mut() {
                last.version = version;
            }
        }
    }

    fn enter(&self, module: &str) -> u64 {
        let number = self.modules.borrow_mut().number(module);
        self.unit.replace(number)
    }

    fn leave(&self, before: u64) {
        self.unit.set(before);
    }

    fn find(&self, module: &str) -> Option<Arc<Source>> {
        self.locate(module)
    }
}
