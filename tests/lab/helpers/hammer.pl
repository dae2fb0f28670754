#!/usr/bin/perl
# SPDX-License-Identifier: LGPL-2.1-or-later
# hammer.pl keep|new MINIMUM STOP ADDRESS…: asks http://ADDRESS:PORT/ for one after the other, over connections that are kept (a hundred requests each) or new ones, until
# MINIMUM requests are done and the file STOP is there. Says "REQUESTS RETRIED LOST". A request on a kept connection that was closed before a byte came is asked
# once more on a new one, as browsers and proxies do (RFC 9110, 9.2.2); it is lost when it has no answer of 200 even so, or within 20
# seconds (TIMEOUT). PAUSE=SECONDS before each.
use strict;
use warnings;
use IO::Select;
use IO::Socket::INET;

my ($how, $minimum, $stop, @addresses) = @ARGV;
my ($requests, $retried, $lost, $socket, $used) = (0, 0, 0);
my %why;
my $limit = $ENV{TIMEOUT} || 20;

# An answer's status, "closed" (nothing came), or what went wrong.
sub ask {
  my ($address) = @_;
  if (!$socket) {
    $socket = IO::Socket::INET->new (PeerAddr => $address, Timeout => $limit) or return "connect: $!";
    $used = 0;
  }
  my $last = $how eq 'new' || $used >= 99;
  local $SIG{PIPE} = 'IGNORE';
  my $sent = syswrite $socket, "GET / HTTP/1.1\r\nHost: web\r\nConnection: " . ($last ? 'close' : 'keep-alive') . "\r\n\r\n";
  my ($in, $end) = ('', 0);
  while (defined $sent && !$end) {
    return "nothing came for $limit s" unless IO::Select->new ($socket)->can_read ($limit);
    my $n = sysread $socket, $in, 65536, length $in;
    return $in eq '' ? 'closed' : 'cut' unless $n;
    $end = $in =~ /\r\n\r\n/ && length ($in) >= $+[0] + ($in =~ /^Content-Length: (\d+)/mi ? $1 : 0);
  }
  return 'closed' unless defined $sent;
  $used++;
  undef $socket if $last || $in =~ /^Connection: close/mi;
  return $in =~ m{^HTTP/1\.1 (\d+)} ? $1 : 'no HTTP';
}

until ($requests >= $minimum && -e $stop) {
  select undef, undef, undef, $ENV{PAUSE} if $ENV{PAUSE};
  my $address = $addresses[rand @addresses];
  my $again = $socket && $used > 0;
  my $answer = ask ($address);
  if ($answer eq 'closed' && $again) {
    undef $socket;
    $retried++;
    $answer = ask ($address);
  }
  $requests++;
  next if $answer eq '200';
  $lost++;
  $why{$answer}++;
  undef $socket;
}
print "$requests $retried $lost\n";
print STDERR "$how: $why{$_} × $_\n" for sort keys %why;
