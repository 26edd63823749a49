# Perl: interpreter threads, fork, signals, sockets, sprintf and regular expressions.
use strict;
use warnings;
use threads;
use threads::shared;
use IO::Select;
use IO::Socket::INET;
my $count : shared = 0;
my @threads = map { my $n = $_; threads->create(sub { for (1 .. 500) { lock $count; $count += $n } $n * 2 }) } 1 .. 4;
print join(',', map { $_->join } @threads), " $count\n";
my @ended;
for my $status (1 .. 5) {
    my $pid = fork // die;
    exit $status unless $pid;
    waitpid $pid, 0;
    push @ended, $? >> 8;
}
print "@ended\n";
my $alarms = 0;
local $SIG{ALRM} = sub { $alarms++ };
local $SIG{USR1} = sub { die "usr1\n" };
eval { kill USR1 => $$; sleep 10 };
print $@;
alarm 1;
sleep 20;
print "$alarms alarm\n";
my $server = IO::Socket::INET->new(Listen => 5, LocalAddr => '127.0.0.1') or die;
if (!fork) {
    my $client = $server->accept;
    print $client uc while <$client>;
    exit;
}
my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $server->sockport) or die;
print $socket "line $_\n" for 1 .. 100;
$socket->shutdown(1);
my @lines = <$socket>;
wait;
print scalar(@lines), " $lines[99]";
my %words;
$words{$_ % 97}++ for map { $_ * $_ } 1 .. 20000;
print join(' ', map { "$_=$words{$_}" } (sort { $a <=> $b } keys %words)[0 .. 4]), "\n";
(my $text = 'aaa bbb ' x 1000) =~ s/(\w)(?=\1\1)/<$1>/g;
printf "%d %.12g %s %e\n", length $text, exp(1), sprintf('%vd', '1.22.333'), 1 / 3;
