-- Statistics: counts calls, bytes and errors per descriptor; each guest thread counts for itself.
local REPORT_EVERY = 100

local total = { calls = 0, bytes = 0, errors = 0 }
local bytes_of = {}

local function report()
  c_log(string.format("read: %d calls, %d bytes, %d errors", total.calls, total.bytes, total.errors))
  for fd, bytes in pairs(bytes_of) do
    c_log(string.format("read: fd %d: %d bytes", fd, bytes))
  end
end

function do_syscall(num, fd, buf, count)
  local result = c_do_syscall(num, fd, buf, count)
  total.calls = total.calls + 1
  if result < 0 then
    total.errors = total.errors + 1
  else
    total.bytes = total.bytes + result
    bytes_of[fd] = (bytes_of[fd] or 0) + result
  end
  if total.calls % REPORT_EVERY == 0 then
    report()
  end
  return result
end
