-- LuaJIT: traces, side exits, FFI calls and callbacks, coroutines.
local ffi = require('ffi')
ffi.cdef [[ typedef struct { int a; double b; } pair; int abs(int); size_t strlen(const char *);
    void qsort(void *, size_t, size_t, int (*)(const int *, const int *)); ]]
local function sieve(n)
    local composite, count = {}, 0
    for i = 2, n do
        if not composite[i] then
            count = count + 1
            for j = i * i, n, i do composite[j] = true end
        end
    end
    return count
end
print(sieve(1000000))
local pairs_ = ffi.new('pair[?]', 1000)
for round = 1, 2000 do
    for i = 0, 999 do
        pairs_[i].a = pairs_[i].a + i % 3
        pairs_[i].b = pairs_[i].b + 0.5
    end
end
print(pairs_[998].a, pairs_[999].b, ffi.C.abs(-5), tonumber(ffi.C.strlen('hello')))
local numbers = ffi.new('int[?]', 500)
for i = 0, 499 do numbers[i] = i * 7919 % 503 end
local compare = ffi.cast('int (*)(const int *, const int *)', function(a, b) return a[0] - b[0] end)
ffi.C.qsort(numbers, 500, 4, compare)
print(numbers[0], numbers[250], numbers[499])
local generate = coroutine.wrap(function() for i = 1, 1e5 do coroutine.yield(i % 10) end end)
local sum = 0
for _ = 1, 1e5 do sum = sum + generate() end
local text = {}
for i = 1, 20000 do text[#text + 1] = ('%d:%x'):format(i, i) end
print(sum, #table.concat(text), select('#', table.concat(text):gsub('1', '')), bit.bxor(0x5555, 0xff), 2 ^ 0.5)
local mixed = 0
for i = 1, 1e6 do
    local v = i % 1000 == 0 and '7' or i
    mixed = mixed + v * 1
end
print(mixed, (pcall(error, {})))
