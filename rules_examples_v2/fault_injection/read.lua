-- Error injection: every `EVERY`th read is interrupted, which correct programs survive, and a short
-- read comes before each: both are allowed at any time, and both are often forgotten.
local EVERY = 5
local EINTR = 4
local calls = 0

function do_syscall(num, fd, buf, count)
  calls = calls + 1
  if calls % EVERY == 0 then
    c_log(string.format("read(fd=%d): injected EINTR", fd))
    return -EINTR
  elseif calls % EVERY == EVERY - 1 and count > 1 then
    c_log(string.format("read(fd=%d): %d bytes shortened to 1", fd, count))
    return c_do_syscall(num, fd, buf, 1)
  end
  return c_do_syscall(num, fd, buf, count)
end
