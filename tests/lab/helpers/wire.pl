#!/usr/bin/perl
# SPDX-License-Identifier: LGPL-2.1-or-later
# wire.pl INTERFACE SECONDS MARKER: looks at what goes over INTERFACE. Prints how many packets went to which UDP port of the data plane, and in how many
# of all packets MARKER was to be read: "4789 12, 7946 0, 7947 0, marker 12".
use strict;
use warnings;

my ($interface, $seconds, $marker) = @ARGV;
my %n = (4789 => 0, 7946 => 0, 7947 => 0, marker => 0);
open my $file, '<', "/sys/class/net/$interface/ifindex" or die "$interface: $!\n";
chomp(my $index = <$file>);
socket my $socket, 17, 3, unpack('S', pack('n', 3)) or die "no packet socket: $!\n"; # AF_PACKET, SOCK_RAW, ETH_P_ALL
bind $socket, pack('SnlSCCx8', 17, 3, $index, 0, 0, 0) or die "bind: $!\n";
$| = 1;
print "looking\n";
my $end = time + $seconds;
while (time < $end) {
    my $ready = '';
    vec($ready, fileno $socket, 1) = 1;
    next unless select $ready, undef, undef, 0.2;
    defined recv $socket, my $frame, 65536, 0 or next;
    $n{marker}++ if index($frame, $marker) >= 0;
    next unless length $frame > 42 && substr($frame, 12, 2) eq "\x08\x00" && ord(substr $frame, 23, 1) == 17;
    my $port = unpack 'n', substr $frame, 14 + 4 * (ord(substr $frame, 14, 1) & 15) + 2, 2;
    $n{$port}++ if exists $n{$port};
}
print join(', ', map { "$_ $n{$_}" } 4789, 7946, 7947, 'marker'), "\n";
