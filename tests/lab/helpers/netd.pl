#!/usr/bin/perl
# SPDX-License-Identifier: LGPL-2.1-or-later
# A client of swarm-netd (swarm-netd-batch.h): netd.pl full|delta [SOCKET] < ROWS. One row a line, with "-" before it to remove it:
#   host NODE · node NUMBER UNDERLAY GATEWAY/LEN INGRESS/LEN · network VNI [ingress] · endpoint VNI NODE ADDRESS · sandbox ID
#   interface SANDBOX VNI INDEX ADDRESS/LEN · service VNI ADDRESS · backend VNI ADDRESS BACKEND · port tcp|udp PORT
#   portbackend tcp|udp PORT BACKEND TARGET · name VNI NAME ADDRESS
# Says "accepted NUMBER" or "refused", a line per error and "ready SANDBOX /proc/PID/fd/FD". IPv4 only.
use strict;
use warnings;
use Socket;

my ($mode, $path) = (@ARGV, '/run/swarm-agent/netd.socket');
my %protocol = (tcp => 6, udp => 17);

sub address { my ($text) = @_; return "\0" x 10 . "\xff\xff" . (inet_aton ($text) // die "address $text\n"); }
sub prefixed { my ($address, $length) = split m{/}, $_[0]; return (address ($address), $length); }
sub mac { return "\x02\x42" . substr (address ($_[0]), 12); }
sub none { return "\0" x 16; }

my %types = (
  host => [1, sub { pack 'LSS', $_[0], 4789, 0 }],
  node => [2, sub {
    my ($gateway, $g) = prefixed ($_[2]);
    my ($ingress, $i) = prefixed ($_[3]);
    (my $plain = $_[3]) =~ s{/.*}{};
    return pack ('LCCCC', $_[0], $g, 0, $i, 0) . mac ($plain) . "\0\0" . address ($_[1]) . $gateway . none () . $ingress . none ();
  }],
  network => [3, sub { pack 'LLLLa32', $_[0], ($_[1] // '') eq 'ingress' ? 2 : 0, 0, 0, "net$_[0]" }],
  endpoint => [4, sub { pack ('L', $_[0]) . mac ($_[2]) . "\0\0" . pack ('L', $_[1]) . address ($_[2]) . none () }],
  sandbox => [5, sub { pack 'a32LLQ', $_[0], 0, 0, 0 }],
  interface => [6, sub {
    my ($address, $length) = prefixed ($_[3]);
    (my $plain = $_[3]) =~ s{/.*}{};
    return pack ('a32LLL', $_[0], $_[1], 0, $_[2]) . mac ($plain) . pack ('CCL', $length, 0, 0) . $address . none ();
  }],
  service => [7, sub { pack ('LL', $_[0], 0) . address ($_[1]) . pack ('LL', 0, 0) }],
  backend => [8, sub { pack ('LL', $_[0], 0) . address ($_[1]) . address ($_[2]) . pack ('LL', 0, 0) }],
  port => [9, sub { pack ('SCx5LL', $_[1], $protocol{$_[0]}, 0, 0) }],
  portbackend => [10, sub { pack ('SCx5', $_[1], $protocol{$_[0]}) . address ($_[2]) . pack ('Sx6LL', $_[3], 0, 0) }],
  name => [11, sub {
    my $data = pack ('LL', $_[0], 0) . address ($_[2]) . $_[1] . "\0";
    return $data . "\0" x (-length ($data) % 8);
  }],
);

my $records = '';
while (my $line = <STDIN>) {
  my ($name, @words) = split ' ', $line;
  next unless defined $name;
  my $op = $name =~ s/^-// ? 2 : 1;
  my $type = $types{$name} // die "what is $name?\n";
  my $data = $type->[1]->(@words);
  $records .= pack ('SSL', $type->[0], $op, 8 + length $data) . $data;
}

sub receive {
  my ($length) = @_;
  my $data = '';
  while (length $data < $length) {
    sysread (S, $data, $length - length $data, length $data) or die "swarm-netd went away\n";
  }
  return $data;
}

alarm 20;
socket (S, PF_UNIX, SOCK_STREAM, 0) or die "socket: $!\n";
connect (S, pack_sockaddr_un ($path)) or die "connect to $path: $!\n";
my (undef, undef, undef, $last) = unpack 'LSSQQLL', receive (32);
my $full = $mode eq 'full';
my $batch = pack ('LSSQQLL', 0x424e5753, 0, 2, $last + 1, $full ? 0 : $last, $full ? 1 : 0, length $records) . $records;
for (my $at = 0; $at < length $batch;) {
  $at += syswrite (S, $batch, length ($batch) - $at, $at) // die "write: $!\n";
}
my $kind;
do {
  (undef, undef, $kind, my $number, undef, my $flags, my $length) = unpack 'LSSQQLL', receive (32);
  my $answer = receive ($length);
  while (length $answer) {
    my ($type, undef, $size) = unpack 'SSL', $answer;
    my $data = substr $answer, 8, $size - 8;
    if ($type == 64) {
      my (undef, undef, undef, $object, $text) = unpack 'LSSZ104Z256', $data;
      print "error $object: $text\n";
    } else {
      my ($sandbox, $pid, $fd) = unpack 'Z32LL', $data;
      print "ready $sandbox /proc/$pid/fd/$fd\n";
    }
    $answer = substr $answer, $size;
  }
  print $flags & 4 ? "refused\n" : "accepted $number\n" if $kind == 3;
} until $kind == 3;
