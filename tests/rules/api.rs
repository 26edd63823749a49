//! The functions that rules call, with their results and error codes.

use guest::state::{ARCH_BASE, vector_slot};
use qemu_lua::rules::{CallEnd, Outcome};

use crate::fake::{BASE, Directory, GETPID, Guest, SIZE, WRITE, check, run};
use qemu_lua::rules::ReloadMode;

fn text(host: &mut crate::fake::FakeThread) {
    host.memory[..12].copy_from_slice(b"hello\0world\0");
    host.memory[SIZE - 3..].copy_from_slice(b"end");
}

#[test]
fn a_rule_sees_number_and_eight_arguments() {
    let directory = Directory::with(&[(
        "write.lua",
        "function do_syscall(...) local t = {...} assert(#t == 9) assert(t[1] == 1 and t[2] == 11 and t[9] == -1) return #t end",
    )]);
    let mut guest = Guest::new(&directory.open(ReloadMode::Watch));
    let outcome = guest.call(WRITE, [11, 2, 3, 4, 5, 6, 7, u64::MAX]);
    assert_eq!(outcome, Outcome::Result(9), "{}", directory.log());
}

#[test]
fn results_are_integers_or_floats_with_integer_value() {
    assert_eq!(run("return -13").0, Outcome::Result(-13));
    assert_eq!(run("return 6 / 2").0, Outcome::Result(3));
    assert_eq!(run("return math.mininteger").0, Outcome::Result(i64::MIN));
    assert_eq!(run("return 5, 'more', 'ignored'").0, Outcome::Result(5));
}

#[test]
fn a_call_has_its_missing_arguments_zero() {
    let guest = check("assert(c_do_syscall(39) == 1039) c_do_syscall(1, -1, nil, 2.0)", |_| {});
    assert_eq!(guest.host.calls[0], (GETPID, [0; 8]));
    assert_eq!(guest.host.calls[1], (WRITE, [u64::MAX, 0, 2, 0, 0, 0, 0, 0]));
}

#[test]
fn a_rule_may_call_often_and_with_any_number() {
    let guest = check(
        "for i = 1, 5 do assert(c_do_syscall(9999 + i, 1, 2, 3, 4, 5, 6, 7, 8) == 10999 + i) end",
        |_| {},
    );
    assert_eq!(guest.host.calls.len(), 5);
    assert_eq!(guest.host.calls[4], (10004, [1, 2, 3, 4, 5, 6, 7, 8]));
}

#[test]
fn calls_refuse_what_is_no_integer() {
    check(
        "assert(not pcall(c_do_syscall)) assert(not pcall(c_do_syscall, {})) assert(not pcall(c_do_syscall, 1, 'x'))
         assert(not pcall(c_do_syscall, 1, 1.5))",
        |_| {},
    );
}

#[test]
fn strings_end_at_nul_or_max_len() {
    check(
        &format!(
            "local s, rc = c_read_guest_string({BASE}) assert(s == 'hello' and rc == 0)
             s, rc = c_read_string({BASE}, 3) assert(s == 'hel' and rc == 0)
             s, rc = c_read_guest_string({BASE}, 0) assert(s == '' and rc == 0)
             s, rc = c_read_guest_string({BASE} + 6, 5) assert(s == 'world' and rc == 0)
             s, rc = c_read_guest_string({BASE} + 5) assert(s == '' and rc == 0)"
        ),
        text,
    );
}

#[test]
fn strings_may_end_just_before_an_unmapped_page_and_fault_without_nul() {
    let end = BASE + SIZE as u64;
    check(
        &format!(
            "local s, rc = c_read_guest_string({end} - 3) assert(s == '' and rc == -14)
             c_write_guest_bytes({end} - 1, '\\0')
             s, rc = c_read_guest_string({end} - 3) assert(s == 'en' and rc == 0)
             s, rc = c_read_guest_string({end} - 3, 9000) assert(s == 'en' and rc == 0)
             s, rc = c_read_guest_string({end}) assert(s == '' and rc == -14)
             s, rc = c_read_guest_string(0) assert(s == '' and rc == -14)"
        ),
        text,
    );
}

#[test]
fn long_strings_and_bytes_come_whole_or_not_at_all() {
    check(
        &format!(
            "local s, rc = c_read_guest_string({BASE}, 100000) assert(#s == 9000 and rc == 0)
             s, rc = c_read_guest_bytes({BASE}, 9001) assert(#s == 9001 and s:sub(-1) == '\\0' and rc == 0)
             s, rc = c_read_guest_bytes({BASE}, {SIZE}) assert(#s == {SIZE} and rc == 0)
             s, rc = c_read_guest_bytes({BASE}, {SIZE} + 1) assert(s == '' and rc == -14)"
        ),
        |host| host.memory[..9000].fill(b'x'),
    );
}

#[test]
fn absurd_sizes_and_wrong_types_are_einval() {
    check(
        &format!(
            "for _, f in ipairs {{c_read_guest_bytes, c_read_bytes, c_read_guest_string}} do
               for _, n in ipairs {{-1, math.mininteger, math.maxinteger, 1 << 40, 'x', {{}}, 1.5}} do
                 local s, rc = f({BASE}, n) assert(s == '' and rc == -22, tostring(n))
               end
               local s, rc = f('x', 1) assert(s == '' and rc == -22)
             end
             local v, rc = c_read_guest_u32() assert(v == 0 and rc == -22)
             v, rc = c_read_guest_u64({{}}) assert(v == 0 and rc == -22)
             assert(c_write_guest_u32({BASE}) == -22 and c_write_guest_u64({BASE}, 'x') == -22)
             v, rc = c_write_guest_bytes({BASE}, 5) assert(v == 0 and rc == -22)
             v, rc = c_read_guest_bytes({BASE}) assert(v == '' and rc == -22)"
        ),
        |_| {},
    );
}

#[test]
fn words_are_read_and_written() {
    let end = BASE + SIZE as u64;
    check(
        &format!(
            "assert(c_write_guest_u64({BASE}, -2) == 0)
             local v, rc = c_read_guest_u64({BASE}) assert(v == -2 and rc == 0)
             v, rc = c_read_guest_u32({BASE}) assert(v == 0xfffffffe and rc == 0)
             assert(c_write_guest_u32({BASE}, 0x1234567890) == 0)
             v = c_read_guest_u64({BASE}) assert(v == 0xffffffff34567890 | 0)
             v, rc = c_read_guest_u64({end} - 4) assert(v == 0 and rc == -14)
             v, rc = c_read_guest_u32({end}) assert(v == 0 and rc == -14)
             assert(c_write_guest_u64({end} - 4, 1) == -14 and c_write_guest_u32(0, 1) == -14)"
        ),
        |_| {},
    );
}

#[test]
fn bytes_may_contain_nul_and_report_how_far_they_got() {
    let end = BASE + SIZE as u64;
    let guest = check(
        &format!(
            "local n, rc = c_write_guest_bytes({BASE}, 'a\\0b') assert(n == 3 and rc == 0)
             local s = c_read_guest_bytes({BASE}, 3) assert(s == 'a\\0b')
             n, rc = c_write_bytes({end} - 2, 'wxyz') assert(n == 2 and rc == -14)
             n, rc = c_write_guest_bytes({BASE}, '') assert(n == 0 and rc == 0)
             s, rc = c_read_guest_bytes({BASE}, 0) assert(s == '' and rc == 0)"
        ),
        |_| {},
    );
    assert_eq!(&guest.host.memory[..3], b"a\0b");
}

#[test]
fn addresses_translate_both_ways() {
    check(
        &format!(
            "local p = c_g2h({BASE}) assert(type(p) == 'userdata')
             assert(c_h2g(p) == {BASE} and c_h2g({BASE} + 0x100000) == {BASE})
             assert(c_h2g(1) == 0 and c_h2g('x') == 0 and c_h2g(c_g2h(0)) == 0)"
        ),
        |_| {},
    );
}

#[test]
fn registers_are_listed_read_and_written() {
    let mut guest = check(
        "local regs = c_list_regs() assert(#regs == 5)
         assert(regs[1].num == 0 and regs[1].name == 'rax' and regs[1].feature == 'core')
         local v, size, rc = c_get_reg('rax') assert(v == 42 and size == 8 and rc == 0)
         v, size, rc = c_get_reg(0) assert(v == 42 and size == 8 and rc == 0)
         v, size, rc = c_get_reg('eflags') assert(v == 0xfffffffe and size == 4 and rc == 0)
         v, size, rc = c_get_reg('xmm0') assert(v == '0123456789abcdef' and size == 16 and rc == 0)
         local n n, rc = c_set_reg('rax', -5) assert(n == 8 and rc == 0 and c_get_reg('rax') == -5)
         n, rc = c_set_reg('eflags', '\\1\\2\\3\\4') assert(n == 4 and rc == 0 and c_get_reg(17) == 0x04030201)
         n, rc = c_set_reg(40, ('z'):rep(16)) assert(n == 16 and rc == 0)
         n, rc = c_set_reg('pc', 0x4000) assert(n == 8 and rc == 0 and c_get_reg('rip') == 0x4000)
         n, rc = c_set_reg('sp', 0x5000) assert(n == 8 and rc == 0 and c_get_reg(7) == 0x5000)",
        |host| {
            host.state.set_u64(ARCH_BASE, 42);
            host.state.set_u32(ARCH_BASE.plus(16), 0xffff_fffe);
            host.state.bytes_at_mut(vector_slot(0), 16).copy_from_slice(b"0123456789abcdef");
        },
    );
    assert_eq!(guest.host.state.pc(), 0x4000);
    assert_eq!(guest.host.state.bytes_at(vector_slot(0), 16), b"zzzzzzzzzzzzzzzz");
    guest.host.state.set_pc(0);
}

#[test]
fn wrong_registers_and_lengths_change_nothing() {
    let guest = check(
        "local v, size, rc = c_get_reg('nope') assert(v == 0 and size == 0 and rc == -2)
         v, size, rc = c_get_reg(999) assert(v == 0 and size == 0 and rc == -2)
         v, size, rc = c_get_reg(-1) assert(rc == -2)
         v, size, rc = c_get_reg() assert(v == 0 and size == 0 and rc == -22)
         local n n, rc = c_set_reg('nope', 1) assert(n == 0 and rc == -2)
         n, rc = c_set_reg('rax', 'short') assert(n == 0 and rc == -22)
         n, rc = c_set_reg('xmm0', 5) assert(n == 0 and rc == -22)
         n, rc = c_set_reg('xmm0', ('z'):rep(17)) assert(n == 0 and rc == -22)
         n, rc = c_set_reg('rax') assert(n == 0 and rc == -22)
         n, rc = c_set_reg('rax', 1.5) assert(n == 0 and rc == -22)",
        |host| host.state.set_u64(ARCH_BASE, 42),
    );
    assert_eq!(guest.host.state.u64(ARCH_BASE), 42);
}

#[test]
fn timestamps_are_seconds_and_nanoseconds() {
    check(
        "local s, ns = c_get_timestamp() assert(math.type(s) == 'integer' and s >= os.time() - 5 and ns >= 0 and ns < 1000000000)",
        |_| {},
    );
}

#[test]
fn the_log_has_whole_lines() {
    let (_, _, directory) = run("c_log('one') c_log(2) c_log(nil) c_log(true) c_log() return 0");
    let expected = ["one", "2", "nil", "true", ""].map(|line| format!("[Lua Log] {line}"));
    assert_eq!(directory.log_lines(), expected);
}

#[test]
fn the_top_level_runs_once_and_locals_live_on() {
    let directory = Directory::with(&[(
        "write.lua",
        "local n = 0\nfunction do_syscall() n = n + 1 return n end\nc_log('Loaded')",
    )]);
    let mut guest = Guest::new(&directory.open(ReloadMode::Watch));
    for n in 1..=3 {
        assert_eq!(guest.write(), Outcome::Result(n));
    }
    assert_eq!(directory.log_lines(), ["[Lua Log] Loaded"]);
}

#[test]
fn the_libraries_are_there() {
    check(
        "for _, lib in ipairs {math, string, table, io, os, debug, coroutine, utf8} do assert(type(lib) == 'table') end
         assert(string.format('%x', 255) == 'ff' and table.concat({1, 2}, ',') == '1,2')",
        |_| {},
    );
}

#[test]
fn threads_have_state_of_their_own() {
    let directory =
        Directory::with(&[("write.lua", "local n = 0 function do_syscall() n = n + 1 return n end")]);
    let rules = directory.open(ReloadMode::Watch);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut guest = Guest::new(&rules);
                for n in 1..=500 {
                    assert_eq!(guest.write(), Outcome::Result(n));
                }
            });
        }
    });
}

#[test]
fn an_interrupted_call_gives_eintr() {
    let (outcome, ..) = crate::fake::run_with("return c_do_syscall(num, a1)", |host| {
        host.kernel = Box::new(|_, _| CallEnd::Returned(-4));
    });
    assert_eq!(outcome, Outcome::Result(-4));
}
