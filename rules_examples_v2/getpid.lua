-- Modify or fake a result.
--   "modify": makes the real call and adds `offset` (0 leaves it as it is, so that programs that
--             send signals to themselves go on working)
--   "fake":   makes no call at all; the guest sees `fake_pid`
local mode = "modify"
local offset = 0
local fake_pid = 12345

function do_syscall(num)
  if mode == "fake" then
    c_log("getpid: fake " .. fake_pid)
    return fake_pid
  end
  local pid = c_do_syscall(num)
  c_log(string.format("getpid: real %d, the guest sees %d", pid, pid + offset))
  return pid + offset
end
