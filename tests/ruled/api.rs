//! Every function of the interface, on the memory and registers of a real guest.
//!
//! The guest calls getsid(page, end of page, read-only text); the rule checks what it is here for and answers 77.

use crate::fixture::Ruled;
use crate::harness::Arch;

/// Runs `body` as a rule for getsid; everything that it asserts must hold.
fn check(arch: Arch, body: &str) -> Ruled {
    let script =
        format!("function do_syscall(num, page, fin, text, a4, a5, a6, a7, a8)\n{body}\nreturn 77 end");
    let ruled = Ruled::new(arch, &[("getsid.lua", &script)]);
    let said = ruled.steps(&["getsid"]);
    assert_eq!(said, "getsid 77\n", "{}", ruled.log());
    ruled
}

on_both! {
    arguments_and_results(arch) {
        check(arch, "assert(num == (select(3, c_get_reg('rax')) == 0 and 124 or 156))
            assert(page ~= 0 and fin == page + 12288 and a7 == 0 and a8 == 0)
            assert(c_do_syscall(num, 0) >= 0, 'this session: 0 when it began outside the pid namespace') assert(c_do_syscall(num, -1) == -3)
            assert(not pcall(c_do_syscall)) assert(not pcall(c_do_syscall, num, {}))");
        let ruled = Ruled::new(arch, &[("getsid.lua", "function do_syscall(...) return select('#', ...), 'ignored' end"),
            ("getpid.lua", "function do_syscall(num) return 6 / 2 end")]);
        assert_eq!(ruled.steps(&["getsid", "getpid"]), "getsid 9\ngetpid 3\n", "{}", ruled.log());
        let ruled = Ruled::new(arch, &[("getsid.lua", "function do_syscall() return -13 end")]);
        assert_eq!(ruled.steps(&["getsid"]), "getsid -13\n");
    }
    strings(arch) {
        check(arch, "for _, f in ipairs {c_read_guest_string, c_read_string} do
            local s, rc = f(page) assert(s == 'hello' and rc == 0)
            s, rc = f(page, 3) assert(s == 'hel' and rc == 0)
            s, rc = f(page + 5) assert(s == '' and rc == 0)
            s, rc = f(page + 4096) assert(#s == 4096 and rc == 0)
            s, rc = f(page + 4096, 8189) assert(#s == 8189 and rc == 0)
            s, rc = f(fin - 3) assert(s == '' and rc == -14, 'no NUL before the end')
            s, rc = f(fin - 3, 3) assert(s == 'end' and rc == 0)
            s, rc = f(0) assert(s == '' and rc == -14)
            s, rc = f(page, -1) assert(s == '' and rc == -22)
            s, rc = f('x') assert(s == '' and rc == -22)
            s, rc = f(text) assert(s == 'read only' and rc == 0)
          end
          c_write_guest_bytes(fin - 1, '\\0')
          local s, rc = c_read_guest_string(fin - 3) assert(s == 'en' and rc == 0, 'unmapped behind the NUL')");
    }
    words(arch) {
        check(arch, "assert(c_write_guest_u64(page, -2) == 0)
          local v, rc = c_read_guest_u64(page) assert(v == -2 and rc == 0)
          v, rc = c_read_guest_u32(page) assert(v == 0xfffffffe and rc == 0)
          assert(c_write_guest_u32(page, 0x1234567890) == 0)
          v = c_read_guest_u64(page) assert(v == 0xffffffff34567890)
          v, rc = c_read_guest_u64(fin - 4) assert(v == 0 and rc == -14)
          v, rc = c_read_guest_u32(fin) assert(v == 0 and rc == -14)
          v, rc = c_read_guest_u32() assert(v == 0 and rc == -22)
          assert(c_write_guest_u64(fin - 4, -1) == -14 and c_read_guest_bytes(fin - 4, 4) == 'xend')
          assert(c_write_guest_u32(text, 1) == -14 and c_write_guest_u64(0, 1) == -14)
          assert(c_write_guest_u32(page) == -22 and c_write_guest_u64(page, 'x') == -22)");
    }
    bytes(arch) {
        check(arch, "for _, f in ipairs {{c_read_guest_bytes, c_write_guest_bytes}, {c_read_bytes, c_write_bytes}} do
            local read, write = f[1], f[2]
            local n, rc = write(page, 'a\\0b') assert(n == 3 and rc == 0)
            local s s, rc = read(page, 3) assert(s == 'a\\0b' and rc == 0)
            s, rc = read(page, 0) assert(s == '' and rc == 0)
            s, rc = read(page, 12288) assert(#s == 12288 and rc == 0)
            s, rc = read(page, 12289) assert(s == '' and rc == -14)
            s, rc = read(page, 1 << 50) assert(s == '' and rc == -22)
            s, rc = read(page, -5) assert(s == '' and rc == -22)
            s, rc = read(page) assert(s == '' and rc == -22)
            n, rc = write(fin - 2, 'wxyz') assert(n == 2 and rc == -14)
            n, rc = write(text, 'w') assert(n == 0 and rc == -14)
            n, rc = write(page, 5) assert(n == 0 and rc == -22)
          end");
        let ruled = Ruled::new(arch, &[("getsid.lua", "function do_syscall(n, p) c_write_guest_bytes(p, 'HOWDY') return 0 end")]);
        assert_eq!(ruled.steps(&["getsid", "page"]), "getsid 0\nHOWDY\0world\n");
    }
    addresses_and_time(arch) {
        check(arch, "local p = c_g2h(page) assert(type(p) == 'userdata' and c_h2g(p) == page)
          assert(c_h2g(c_g2h(fin)) == 0 and c_h2g(1) == 0 and c_h2g('x') == 0)
          local s, ns = c_get_timestamp() assert(math.abs(s - os.time()) < 5 and ns >= 0 and ns < 1000000000)
          assert(math.type(s) == 'integer' and math.type(ns) == 'integer')");
    }
    libraries(arch) {
        let ruled = check(arch, "for _, lib in ipairs {math, string, table, io, os, debug} do assert(type(lib) == 'table') end
          local ok, why = pcall(os.exit, 3) assert(not ok and why:find('os.exit')) c_log(math.pi) c_log(nil) c_log()");
        assert_eq!(ruled.log_lines(), ["[Lua Log] 3.1415926535898", "[Lua Log] nil", "[Lua Log] "]);
    }
    registers_are_gdbs(arch) {
        let (first, last, features) = match arch {
            Arch::X86_64 => ("{'rax',0}, {'rsp',7}, {'rip',16}, {'eflags',17}, {'xmm0',40}", "'orig_rax','fs_base','gs_base','mxcsr'",
                "'i386.core','i386.sse','i386.linux','i386.segments'"),
            Arch::Aarch64 => ("{'x0',0}, {'x30',30}, {'sp',31}, {'pc',32}, {'cpsr',33}, {'v0',34}", "'fpsr','fpcr'",
                "'aarch64.core','aarch64.fpu'"),
        };
        check(arch, &format!("local names, features, count = {{}}, {{}}, 0
          for _, r in ipairs(c_list_regs()) do
            assert(math.type(r.num) == 'integer' and not names[r.name]) names[r.name] = r.num features[r.feature] = true
            local v, size, rc = c_get_reg(r.name) assert(rc == 0 and size > 0, r.name)
            if size > 8 then assert(#v == size) else assert(math.type(v) == 'integer') end
            local again = c_get_reg(r.num) assert(again == v, r.name)
            local n n, rc = c_set_reg(r.name, v) assert(n == size and rc == 0, r.name)
            assert(c_get_reg(r.name) == v, r.name .. ' keeps its value')
            n, rc = c_set_reg(r.name, ('x'):rep(size + 1)) assert(n == 0 and rc == -22)
            n, rc = c_set_reg(r.name, '') assert(n == 0 and rc == -22)
            n, rc = c_set_reg(r.name, {{}}) assert(n == 0 and rc == -22)
            assert(c_get_reg(r.name) == v, r.name .. ' is not changed by errors')
          end
          for _, r in ipairs {{ {first} }} do assert(names[r[1]] == r[2], r[1]) end
          for _, r in ipairs {{ {last} }} do assert(names[r], r) end
          for _, f in ipairs {{ {features} }} do assert(features['org.gnu.gdb.' .. f], f) end
          for _, bad in ipairs {{'nope', '', 9999, -1}} do
            local v, size, rc = c_get_reg(bad) assert(v == 0 and size == 0 and rc == -2)
            local n n, rc = c_set_reg(bad, 0) assert(n == 0 and rc == -2)
          end
          local v, size, rc = c_get_reg({{}}) assert(v == 0 and size == 0 and rc == -22)
          for _, name in ipairs {{'pc', 'sp'}} do v, size, rc = c_get_reg(name) assert(v ~= 0 and size == 8 and rc == 0) end"));
    }
    changed_registers_take_effect(arch) {
        let kept = if arch == Arch::X86_64 { "rbx" } else { "x19" };
        let vector = if arch == Arch::X86_64 { "xmm0" } else { "v0" };
        let script = format!("function do_syscall(num, what)
            if what == 1 then
              local v, size, rc = c_get_reg('{vector}') assert(v == 'abcdefghijklmnop' and size == 16 and rc == 0)
              assert(c_set_reg('{vector}', 'PONMLKJIHGFEDCBA') == 16) c_set_reg('{kept}', 4321) return 11
            end
            c_set_reg('pc', c_get_reg('pc') + what) return 12 end");
        let ruled = Ruled::new(arch, &[("getsid.lua", &script)]);
        let ended = ruled.run(&crate::fixture::compiled(arch, "registers"), &[]);
        assert_eq!(ended.stdout, "result 11 kept 4321 vector PONMLKJIHGFEDCBA\nresult 12 jumped\n", "{ended:?} {}", ruled.log());
    }
    require_finds_modules(arch) {
        let ruled = Ruled::new(arch, &[("getpid.lua", "local m = require 'lib.numbers' function do_syscall() return m.value end"),
            ("lib/numbers.lua", "return { value = 808 }")]);
        assert_eq!(ruled.steps(&["getpid"]), "getpid 808\n", "{}", ruled.log());
    }
}
