//! A guest thread: the loop around its processor, and what it does about each exit.

use super::dispatch;
use super::limits::SpaceLimit;
use super::signal::{self, Actions, Pending};
use super::table::Done;
use super::{Process, alt_stack, direct, seccomp, strace};
use crate::exec::vcpu::{Exit, Vcpu};
use crate::host::{fp, signals, spawn, startup, sys};
use crate::mem::Memory;
use crate::rules::{CallEnd, Outcome, ThreadRules};
use guest::linux::{AltStack, SyscallRequest};
use guest::{Fault, Trap};
use std::sync::PoisonError;
use std::sync::{Arc, Mutex};

/// What follows an exit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flow {
    GoOn,
    /// The thread is over.
    Exit,
}

/// One guest thread.
pub struct Thread {
    pub process: &'static Process,
    pub vcpu: Vcpu,
    /// What it does about signals: shared by the threads of a process, and by processes that ask for it.
    pub actions: Arc<Mutex<Actions>>,
    /// The guest's signal mask.
    pub mask: u64,
    pub alt_stack: AltStack,
    /// Where a zero goes when the thread ends (`set_tid_address`).
    pub clear_child_tid: u64,
    /// Signals that arrived while the guest blocks them (only those the host cannot block).
    pub deferred: Vec<Pending>,
    /// In a box, because a rule that runs has it to itself.
    pub rules: Option<Box<ThreadRules>>,
    /// The call in progress, as made.
    pub request: SyscallRequest,
    /// A call made from a rule was interrupted before it happened.
    pub interrupted_in_rule: bool,
    /// How the call that a rule did not come back from ended.
    pub after_rule: Option<Done>,
    /// How the process's first thread, or a vforked child, leaves: by the exit system call.
    pub owns_host_thread: bool,
    /// What its system calls go through first.
    pub seccomp: Arc<seccomp::Slot>,
    /// How much its process may map.
    pub space_limit: Arc<SpaceLimit>,
    /// Emulators of other architectures that a child in borrowed memory holds: numbers in its own table of descriptors, which
    /// ends with it.
    pub siblings: Vec<(&'static str, i32)>,
}

impl Thread {
    pub fn new(
        process: &'static Process,
        mut vcpu: Vcpu,
        actions: Arc<Mutex<Actions>>,
        space_limit: Arc<SpaceLimit>,
    ) -> Self {
        let rules = process.rules.as_ref().map(|rules| Box::new(ThreadRules::new(rules)));
        vcpu.port.set_handler_masks(actions.lock().unwrap_or_else(PoisonError::into_inner).masks());
        vcpu.direct = (rules.is_none() && !strace::is_wanted(process)).then_some(direct::call);
        Self {
            process,
            vcpu,
            actions,
            mask: 0,
            alt_stack: alt_stack::RESET,
            clear_child_tid: 0,
            deferred: Vec::new(),
            rules,
            request: SyscallRequest::default(),
            interrupted_in_rule: false,
            after_rule: None,
            owns_host_thread: false,
            seccomp: Arc::default(),
            space_limit,
            siblings: Vec::new(),
        }
    }

    /// Before a call that may take from us what we need later.
    pub fn stand_alone(&mut self) {
        if !spawn::owns_memory() {
            for name in self.process.other_architectures() {
                let held =
                    startup::held_sibling(name).is_some() || self.siblings.iter().any(|(n, _)| *n == name);
                if let (false, Ok(file)) = (held, startup::open_sibling(name)) {
                    self.siblings.push((name, file.into_raw()));
                }
            }
        }
        self.process.stand_alone();
    }

    /// This thread's id.
    #[must_use]
    pub fn tid(&self) -> i32 {
        sys::syscall(libc::SYS_gettid, [0; 6]) as i32
    }

    /// Runs until the thread is over.
    pub fn run(&mut self) {
        signals::attach(&self.vcpu.port);
        self.load_fp();
        self.sync_mask();
        loop {
            let flow = match self.vcpu.run() {
                Exit::Poll => {
                    self.poll();
                    Flow::GoOn
                }
                Exit::Syscall => self.syscall(),
                Exit::Trap(trap) => {
                    self.trap(trap);
                    Flow::GoOn
                }
                Exit::Fault(fault) => {
                    self.fault(fault);
                    Flow::GoOn
                }
            };
            if flow == Flow::Exit {
                return;
            }
        }
    }

    /// Takes the guest's floating-point environment from the host into the state.
    pub fn save_fp(&mut self) {
        self.vcpu.env.arch.save_fp_environment(&mut self.vcpu.state, fp::mxcsr());
    }

    /// Puts the state's floating-point environment into the host.
    pub fn load_fp(&mut self) {
        fp::set_mxcsr(self.vcpu.env.arch.fp_environment(&self.vcpu.state));
    }

    /// The registers were changed from outside translated code.
    pub fn state_replaced(&mut self) {
        self.load_fp();
        self.vcpu.control_changed();
    }

    fn syscall(&mut self) -> Flow {
        let linux = self.vcpu.env.arch.linux();
        self.request = linux.enter_syscall(&mut self.vcpu.state);
        let request = self.request;
        let traced = strace::enter(self, &request);
        let done = match seccomp::check(self, &request) {
            Some(done) => done,
            None => self.decide(&request),
        };
        strace::leave(self, &request, done, traced);
        match done {
            Done::Value(value) => linux.set_syscall_result(&mut self.vcpu.state, value as u64),
            Done::Interrupted => linux.rewind_syscall(&mut self.vcpu.state, &request),
            Done::Replaced => {}
            Done::Exited => return Flow::Exit,
        }
        Flow::GoOn
    }

    /// Asks the rules, or makes the call.
    fn decide(&mut self, request: &SyscallRequest) -> Done {
        let ruled = self.rules.as_mut().is_some_and(|rules| rules.has_rule(request.number));
        if !ruled {
            return dispatch::perform(self, request.number, &request.args);
        }
        let Some(mut rules) = self.rules.take() else {
            return dispatch::perform(self, request.number, &request.args);
        };
        self.save_fp();
        fp::set_mxcsr(fp::DEFAULT_MXCSR);
        self.interrupted_in_rule = false;
        let [a, b, c, d, e, f] = request.args;
        crate::host::rule_stop::enter(rules.stop_cell());
        let outcome =
            rules.call(&mut super::process::RuleThread::new(self), request.number, [a, b, c, d, e, f, 0, 0]);
        crate::host::rule_stop::leave();
        self.state_replaced();
        if self.rules.is_none() {
            self.rules = Some(rules);
        }
        match outcome {
            Outcome::Result(result) if result == -i64::from(libc::EINTR) && self.interrupted_in_rule => {
                Done::Interrupted
            }
            Outcome::Result(result) => Done::Value(result),
            Outcome::Original => dispatch::perform(self, request.number, &request.args),
            Outcome::Diverged => self.diverged(),
            Outcome::Stopped(made) => Done::Value(made.unwrap_or(-i64::from(libc::EINTR))),
        }
    }

    /// What a call made from a rule, which did not return to it, left behind.
    fn diverged(&mut self) -> Done {
        self.after_rule.take().unwrap_or(Done::Replaced)
    }

    /// Answers the poll flag: drops stale translations, delivers signals.
    pub fn poll(&mut self) {
        use std::sync::atomic::Ordering;
        let why = self.vcpu.port.poll.swap(0, Ordering::AcqRel);
        if why & signals::poll::INVALIDATED != 0 {
            self.vcpu.forget_translations();
        }
        if why & (signals::poll::SIGNAL | signals::poll::RECHECK) != 0 {
            while let Some(arrived) = self.vcpu.port.take() {
                signal::deliver(self, Pending::from(arrived));
            }
            signal::deliver_deferred(self);
        }
        if self.vcpu.port.take_left_mask() != Some(self.mask & !signals::OPEN_SIGNALS) {
            self.sync_mask();
        }
    }

    /// Gives the host thread the guest's mask, unless a signal is waiting: then whoever delivers that does.
    pub fn sync_mask(&self) {
        let host = self.mask & !signals::OPEN_SIGNALS;
        let args = [libc::SIG_SETMASK as u64, &raw const host as u64, 0, 8, 0, 0];
        sys::interruptible(libc::SYS_rt_sigprocmask, args, &self.vcpu.port.poll);
    }

    fn trap(&mut self, trap: Trap) {
        let arch = self.vcpu.env.arch;
        if crate::debug::enabled(crate::debug::item::UNIMP) || trap == Trap::BadGate {
            self.describe_trap(trap);
        }
        // The exceptions' flags may be the host's still.
        self.save_fp();
        if let Some(fault) = arch.linux().trapped_access(trap, &self.vcpu.state, &Memory) {
            return self.fault(fault);
        }
        let signal = arch.linux().trap_signal(trap, &self.vcpu.state);
        let pending = Pending::synchronous(signal.signal as i32, signal.code, signal.addr.raw());
        signal::force(self, pending, None, Some(trap));
    }

    fn describe_trap(&self, trap: Trap) {
        let arch = self.vcpu.env.arch;
        let pc = guest::GuestAddr(self.vcpu.state.pc());
        let mut bytes = [0; 16];
        let got = Memory.read_prefix(pc, &mut bytes);
        let shown = arch.disassemble(pc, &bytes[..got]);
        let hex: Vec<String> = bytes[..shown.len.min(got)].iter().map(|b| format!("{b:02x}")).collect();
        crate::log::line(&format!(
            "{} at pc {pc}: {} ({})",
            arch.describe_trap(trap),
            hex.join(" "),
            shown.text
        ));
    }

    fn describe_fault(&self, fault: &Fault) {
        let mut text = format!(
            "fault at pc {:#x}: {:?} of {} ({:?})",
            self.vcpu.state.pc(),
            fault.access,
            fault.addr,
            fault.kind
        );
        for register in self.vcpu.env.arch.registers().registers.iter().filter(|r| r.size == 8) {
            let mut value = [0; 8];
            value.copy_from_slice(&register.read(&self.vcpu.state)[..8]);
            text.push_str(&format!(" {}={:#x}", register.name, u64::from_le_bytes(value)));
        }
        crate::log::line(&text);
    }

    fn fault(&mut self, fault: Fault) {
        if crate::debug::enabled(crate::debug::item::UNIMP) {
            self.describe_fault(&fault);
        }
        let linux = self.vcpu.env.arch.linux();
        let signal = linux.fault_signal(fault, &self.vcpu.state, &crate::mem::Memory);
        let pending = Pending::synchronous(signal.signal as i32, signal.code, signal.addr.raw());
        signal::force(self, pending, Some(fault), None);
    }

    /// What a system call made from a rule means for it.
    pub fn end_in_rule(&mut self, done: Done) -> CallEnd {
        match done {
            Done::Value(value) => CallEnd::Returned(value),
            Done::Interrupted => {
                self.interrupted_in_rule = true;
                CallEnd::Returned(-i64::from(libc::EINTR))
            }
            Done::Replaced | Done::Exited => {
                self.after_rule = Some(done);
                CallEnd::Diverged
            }
        }
    }
}
