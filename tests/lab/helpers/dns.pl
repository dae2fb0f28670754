#!/usr/bin/perl
# SPDX-License-Identifier: LGPL-2.1-or-later
# dns.pl ADDRESS ANSWER: a DNS server (UDP and TCP) of the world outside. NAME.test is at ANSWER, whoami.test at the one who asks; there is nothing else.
use strict;
use warnings;
use IO::Select;
use IO::Socket::INET;

my ($address, $answer) = @ARGV;
my %at = (LocalAddr => $address, LocalPort => 53);
my $udp = IO::Socket::INET->new (%at, Proto => 'udp') or die "$address: $!\n";
my $tcp = IO::Socket::INET->new (%at, Proto => 'tcp', Listen => 16, ReuseAddr => 1) or die "$address: $!\n";

sub answer_to {
  my ($query, $client) = @_;
  my ($id, $flags, $n, @labels, $at) = (unpack ('n3', $query));
  for ($at = 12; my $length = ord substr $query, $at, 1; $at += $length + 1) { push @labels, lc substr $query, $at + 1, $length }
  my ($type) = unpack 'n', substr $query, $at + 1;
  my $question = substr $query, 12, $at + 5 - 12;
  my $known = @labels == 2 && $labels[1] eq 'test';
  my $a = $known && $type == 1 ? pack ('n3Nn', 0xc00c, 1, 1, 0, 4) . inet_aton ($labels[0] eq 'whoami' ? $client : $answer) : '';
  return pack ('n6', $id, 0x8180 | ($known ? 0 : 3), 1, $a ne '', 0, 0) . $question . $a;
}

my $select = IO::Select->new ($udp, $tcp);
while (1) {
  for my $ready ($select->can_read) {
    my $query;
    if ($ready == $udp) {
      $udp->send (answer_to ($query, $udp->peerhost)) if defined $udp->recv ($query, 1500) && length $query > 16;
    } elsif (my $stream = $tcp->accept) {
      $stream->recv ($query, 1500);
      next if length $query < 18;
      my $out = answer_to (substr ($query, 2), $stream->peerhost);
      $stream->send (pack ('n', length $out) . $out);
    }
  }
}
