# Ruby: threads, processes, fibers, pipes, signals, sockets, big numbers and regular expressions.
require 'digest'
require 'json'
require 'socket'
sums = 4.times.map { |t| Thread.new { (1..20_000).sum { |i| i * t % 11 } } }.map(&:value)
puts "threads #{sums}"
queue = Queue.new
producers = 3.times.map { |t| Thread.new { 500.times { |i| queue << t * i } } }
total = 0
1500.times { total += queue.pop }
producers.each(&:join)
puts "queue #{total}"
pids = 5.times.map { |i| fork { exit! i } }
puts "children #{pids.map { |pid| Process.wait2(pid)[1].exitstatus }}"
reader, writer = IO.pipe
fork { reader.close; writer.write('p' * 200_000); exit! }
writer.close
puts "pipe #{reader.read.size}"
caught = 0
trap('USR1') { caught += 1 }
20.times { |i| Process.kill('USR1', $$); sleep 0.001 until caught > i }
puts "signals #{caught}"
server = TCPServer.new('127.0.0.1', 0)
echo = Thread.new { client = server.accept; client.write(client.gets.upcase); client.close }
socket = TCPSocket.new('127.0.0.1', server.addr[1])
socket.puts('hello')
puts "socket #{socket.read}"
echo.join
fiber = Fiber.new { 1000.times { |i| Fiber.yield i }; nil }
puts "fiber #{1000.times.sum { fiber.resume }}"
puts "big #{(2**2000).digits.sum} #{Digest::SHA256.hexdigest('x' * 100_000)} #{Rational(1, 3) + Rational(1, 6)}"
puts JSON.generate('a' => [1, nil, 2.5], 'b' => "\u00e9").then { |text| JSON.parse(text) }
puts 'The quick brown fox'.scan(/\b(\w)(\w*)/).map { |a, b| b + a }.join(' ')
GC.stress = false
objects = Array.new(200_000) { |i| "object #{i}" }
GC.start
puts "objects #{objects.sum(&:size)} #{`echo child`.chomp} #{$?.exitstatus}"
def deep(n) = deep(n + 1)
begin
  deep(0)
rescue SystemStackError
  puts 'stack overflow'
end
