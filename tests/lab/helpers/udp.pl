#!/usr/bin/perl
# SPDX-License-Identifier: LGPL-2.1-or-later
# udp.pl serve PORT NAME: answers every datagram with NAME and who sent it, by IPv4 and IPv6.
# udp.pl ask ADDRESS PORT [TIMES]: asks so many times, each time by a socket of its own; an answer a line, or "none".
use strict;
use warnings;
use Socket qw(:DEFAULT :addrinfo pack_sockaddr_in6);
use IO::Select;

my ($what, @args) = @ARGV;
if ($what eq 'serve') {
  my ($port, $name) = @args;
  socket my $socket, AF_INET6, SOCK_DGRAM, 0 or die "$!\n";
  bind $socket, pack_sockaddr_in6 ($port, Socket::IN6ADDR_ANY) or die "$!\n";
  while (defined (my $from = recv $socket, my $question, 1500, 0)) {
    my (undef, $address) = getnameinfo ($from, NI_NUMERICHOST, NIx_NOSERV);
    $address =~ s/^::ffff://;
    send $socket, "$name $address\n", 0, $from;
  }
} else {
  my ($address, $port, $times) = (@args, 1);
  for (1 .. $times) {
    my ($error, $to) = getaddrinfo ($address, $port, { socktype => SOCK_DGRAM, flags => AI_NUMERICHOST });
    die "$error\n" if $error;
    socket my $socket, $to->{family}, SOCK_DGRAM, 0 or die "$!\n";
    my $answer = "none\n";
    if (connect ($socket, $to->{addr}) && send $socket, '?', 0) {
      recv $socket, $answer, 1500, 0 if IO::Select->new ($socket)->can_read (3);
    }
    print $answer eq '' ? "none\n" : $answer;
  }
}
