//! The rules of one guest thread: its machine, and what is loaded in it.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::library::{Library, Outdated};
use super::source::Source;
use super::store::exists;
use super::{ATTENTION, ReloadMode, RuleHost, Rules, lock};
use crate::host::lua::{Failure, Function, StopCell, Value, Vm};

/// What a system call comes to after its rule.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// This is the guest's result.
    Result(i64),
    /// There is no result: make the original call.
    Original,
    /// A call that the rule made does not return; neither does this one.
    Diverged,
    /// [`StopCell::request`] ended the rule. The intercepted call's last result, if the rule had made it:
    /// it must not be made again then.
    Stopped(Option<i64>),
}

/// A rule in the machine.
struct Loaded {
    function: Option<Function>,
    /// The version that was last loaded, or that failed to.
    version: u64,
    /// A module that it took something from has changed.
    outdated: bool,
}

/// One guest thread's rules. Belongs to the thread that calls it.
pub struct ThreadRules {
    rules: Arc<Rules>,
    library: Rc<Library>,
    stop: Arc<StopCell>,
    /// Made by the first call of a rule.
    vm: Option<Vm>,
    loaded: Vec<Option<Loaded>>,
    /// The generation of `library.snapshot`.
    seen: u64,
    /// Bit per number: has a rule in the snapshot.
    ruled: Vec<bool>,
    busy: bool,
}

impl ThreadRules {
    #[must_use]
    pub fn new(rules: &Arc<Rules>) -> Self {
        let mut loaded = Vec::new();
        loaded.resize_with(rules.options.names.len(), || None);
        Self {
            rules: Arc::clone(rules),
            library: Rc::new(Library::new(Arc::clone(rules))),
            stop: Arc::default(),
            vm: None,
            loaded,
            seen: u64::MAX,
            ruled: Vec::new(),
            busy: false,
        }
    }

    /// The brake, for signal handlers of this thread. It does not change during the thread's life.
    #[must_use]
    pub fn stop_cell(&self) -> &Arc<StopCell> {
        &self.stop
    }

    /// Whether `number` has a rule. False while a rule runs: rules do not nest.
    #[inline]
    pub fn has_rule(&mut self, number: u64) -> bool {
        if self.rules.generation.load(Ordering::Acquire) != self.seen {
            self.catch_up();
        }
        if self.rules.options.reload != ReloadMode::Watch {
            return self.has_script(number) || self.has_lost_script(number);
        }
        usize::try_from(number).ok().and_then(|number| self.ruled.get(number)).copied().unwrap_or(false)
    }

    fn has_script(&self, number: u64) -> bool {
        self.rules.options.names.scripts(number).iter().any(|path| exists(&self.rules.directory, path))
    }

    /// Its state goes with it, also if the same script comes back. Always false.
    fn has_lost_script(&mut self, number: u64) -> bool {
        if self.slot(number).is_some_and(|slot| slot.is_some()) {
            let mut store = lock(&self.rules.store);
            self.rules.options.names.scripts(number).iter().for_each(|path| store.forget(path));
            drop(store);
            self.unload(number);
        }
        false
    }

    #[cold]
    fn catch_up(&mut self) {
        if self.rules.options.reload != ReloadMode::Watch {
            self.seen = self.rules.generation.load(Ordering::Acquire);
            return;
        }
        if self.rules.generation.load(Ordering::Acquire) & ATTENTION != 0 {
            self.rules.attend();
        }
        let generation = self.rules.generation.load(Ordering::Acquire) & !ATTENTION;
        if generation == self.seen {
            return;
        }
        let snapshot = Arc::clone(&lock(&self.rules.snapshot));
        self.ruled = snapshot.rules.iter().map(Option::is_some).collect();
        *self.library.snapshot.borrow_mut() = snapshot;
        self.seen = generation;
        let outdated = self.library.outdated();
        self.discard(&outdated);
    }

    /// Drops modules, and marks the rules that depend on them.
    fn discard(&mut self, outdated: &Outdated) {
        if let Some(vm) = &mut self.vm {
            for module in &outdated.modules {
                vm.unload_module(module);
            }
        }
        for (number, loaded) in (0..).zip(&mut self.loaded) {
            if let Some(loaded) = loaded {
                loaded.outdated |= outdated.rules.contains(&number);
            }
        }
    }

    /// Lets the rule of `number` decide over a system call of the thread behind `host`.
    pub fn call(&mut self, host: &mut dyn RuleHost, number: u64, args: [u64; 8]) -> Outcome {
        if self.busy {
            return Outcome::Original;
        }
        self.busy = true;
        let outcome = self.consult(host, number, &args);
        self.busy = false;
        outcome
    }

    fn consult(&mut self, host: &mut dyn RuleHost, number: u64, args: &[u64; 8]) -> Outcome {
        let function = match self.loaded_function(number) {
            Some(function) => function,
            None => match self.prepare(host, number) {
                Ok(function) => function,
                Err(outcome) => return outcome,
            },
        };
        let Some(vm) = &mut self.vm else { return Outcome::Original };
        match vm.call(host, function, number, args) {
            Ok(Value::Integer(result)) => Outcome::Result(result),
            Ok(Value::Other(what)) => {
                self.failed(number, Failure::Error(format!("do_syscall returned {what}, no integer")))
            }
            Err(failure) => self.failed(number, failure),
        }
    }

    /// The function to call if nothing has to be looked at: the usual case.
    #[inline]
    fn loaded_function(&mut self, number: u64) -> Option<Function> {
        if self.rules.options.reload != ReloadMode::Watch {
            return None;
        }
        let version = self.library.snapshot.borrow().rule(number)?.id;
        let loaded = self.loaded.get(usize::try_from(number).ok()?)?.as_ref()?;
        if loaded.version != version || loaded.outdated {
            return None;
        }
        self.library.enter_rule(number);
        self.vm.as_mut()?.begin(number);
        loaded.function
    }

    /// Finds the rule and gets it ready.
    fn prepare(&mut self, host: &mut dyn RuleHost, number: u64) -> Result<Function, Outcome> {
        let Some(source) = self.source(number) else {
            self.unload(number);
            return Err(Outcome::Original);
        };
        if !self.make_vm() {
            return Err(Outcome::Original);
        }
        self.library.enter_rule(number);
        self.ready(host, number, &source)?.ok_or_else(|| self.fall_back())
    }

    /// The original call's place: a call that the rule has made must not be made twice.
    fn fall_back(&self) -> Outcome {
        self.made().map_or(Outcome::Original, Outcome::Result)
    }

    fn made(&self) -> Option<i64> {
        self.vm.as_ref().and_then(Vm::made)
    }

    fn failed(&self, number: u64, failure: Failure) -> Outcome {
        match failure {
            Failure::Diverged => Outcome::Diverged,
            Failure::Stopped => Outcome::Stopped(self.made()),
            Failure::Error(message) => {
                if let Some(source) = self.source(number) {
                    self.rules.log().failure(source.id, &format!("{}: {message}", source.path));
                }
                self.fall_back()
            }
        }
    }

    fn source(&self, number: u64) -> Option<Arc<Source>> {
        if self.rules.options.reload == ReloadMode::Watch {
            return self.library.snapshot.borrow().rule(number).cloned();
        }
        self.rules.options.names.scripts(number).iter().find_map(|path| self.library.current(path))
    }

    fn make_vm(&mut self) -> bool {
        if self.vm.is_none() {
            let services = Rc::<Library>::clone(&self.library);
            self.vm = Vm::new(self.rules.options.memory_limit, Arc::clone(&self.stop), services);
            if self.vm.is_none() {
                self.rules.log().failure(0, "no memory for a Lua machine");
            }
        }
        self.vm.is_some()
    }

    fn slot(&mut self, number: u64) -> Option<&mut Option<Loaded>> {
        self.loaded.get_mut(usize::try_from(number).ok()?)
    }

    /// The rule is gone: so is its state.
    fn unload(&mut self, number: u64) {
        let loaded = self.slot(number).and_then(Option::take);
        self.library.forget_needs(number);
        if let (Some(vm), Some(Loaded { function: Some(function), .. })) = (&mut self.vm, loaded) {
            vm.release(function);
        }
    }

    /// The function to call, loaded anew if it has to be; `None` if there is none that works.
    fn ready(
        &mut self,
        host: &mut dyn RuleHost,
        number: u64,
        source: &Arc<Source>,
    ) -> Result<Option<Function>, Outcome> {
        match self.rules.options.reload {
            ReloadMode::Watch => {}
            ReloadMode::Stat => {
                let outdated = self.library.outdated();
                self.discard(&outdated);
            }
            ReloadMode::Always => {
                let all = self.library.all();
                self.discard(&all);
            }
        }
        if let Some(vm) = &mut self.vm {
            vm.begin(number);
        }
        let always = self.rules.options.reload == ReloadMode::Always;
        match self.slot(number) {
            Some(Some(loaded)) if loaded.version == source.id && !loaded.outdated && !always => {
                Ok(loaded.function)
            }
            _ => self.load(host, number, source),
        }
    }

    /// Loads `source`. If it fails, what was loaded before goes on.
    fn load(
        &mut self,
        host: &mut dyn RuleHost,
        number: u64,
        source: &Arc<Source>,
    ) -> Result<Option<Function>, Outcome> {
        let Some(vm) = &mut self.vm else { return Ok(None) };
        self.library.forget_needs(number);
        let result = vm.load(host, &source.path, &source.text);
        let before = self.slot(number).and_then(Option::take).and_then(|loaded| loaded.function);
        let function = match result {
            Ok(function) => {
                source.prove();
                if let (Some(vm), Some(before)) = (&mut self.vm, before) {
                    vm.release(before);
                }
                Some(function)
            }
            Err(Failure::Error(message)) => {
                self.rules.log().failure(source.id, &format!("{}: {message}", source.path));
                before.or_else(|| self.load_previous(host, source))
            }
            Err(failure) => {
                // Not judged: the next call loads it again.
                self.keep(number, Loaded { function: before, version: 0, outdated: true });
                return Err(self.failed(number, failure));
            }
        };
        self.keep(number, Loaded { function, version: source.id, outdated: false });
        Ok(function)
    }

    fn keep(&mut self, number: u64, loaded: Loaded) {
        if let Some(slot) = self.slot(number) {
            *slot = Some(loaded);
        }
    }

    /// In a thread that has come too late for the last version that worked.
    fn load_previous(&mut self, host: &mut dyn RuleHost, source: &Source) -> Option<Function> {
        let previous = source.previous()?;
        self.vm.as_mut()?.load(host, &previous.path, &previous.text).ok()
    }

    /// Writes out what this thread's rules have buffered.
    pub fn flush_at_exit(&mut self) {
        if let Some(vm) = &mut self.vm {
            vm.flush();
        }
    }
}
