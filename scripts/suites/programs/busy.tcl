# Tcl: the event loop, sockets, pipes to children, threads of coroutines, and compiled loops.
proc fib n { expr {$n < 2 ? $n : [fib [expr {$n - 1}]] + [fib [expr {$n - 2}]]} }
puts "fib [fib 20]"
set server [socket -server {apply {{channel host port} {
    fconfigure $channel -buffering line
    fileevent $channel readable [list apply {channel {
        if {[gets $channel line] < 0} { close $channel } else { puts $channel [string reverse $line] }
    }} $channel]
}}} -myaddr 127.0.0.1 0]
set port [lindex [fconfigure $server -sockname] 2]
set client [socket 127.0.0.1 $port]
fconfigure $client -buffering line
set right 0
for {set i 0} {$i < 200} {incr i} {
    puts $client "line $i"
    fileevent $client readable {set ready 1}
    vwait ready
    if {[gets $client] eq [string reverse "line $i"]} { incr right }
}
puts "socket $right"
close $client
set pipe [open "|sort -n" r+]
for {set i 500} {$i > 0} {incr i -1} { puts $pipe $i }
close $pipe write
puts "pipe [llength [set lines [split [string trim [read $pipe]] \n]]] [lindex $lines 0]"
close $pipe
set fired 0
foreach i {1 2 3 4 5} { after $i { incr fired } }
after 50 { set done 1 }
vwait done
puts "timers $fired"
coroutine next apply {{} { yield; for {set i 0} {1} {incr i} { yield $i } }}
set sum 0
for {set i 0} {$i < 1000} {incr i} { incr sum [next] }
puts "coroutine $sum [expr {2 ** 200}] [clock format 0 -gmt 1 -format %Y-%m-%d] [regsub -all {(\w+)@(\w+)} a@b,c@d {\2@\1}]"
puts "status [catch {exec sh -c {exit 3}}] [exec echo child]"
