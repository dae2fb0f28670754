#!/usr/bin/perl
# SPDX-License-Identifier: LGPL-2.1-or-later
# Looks at connections while something happens, until the file STOP is there. A line for each look, with the time at which it began (seconds since 1970):
#   probe.pl new STOP ADDRESS:PORT…    asks by HTTP, by a new connection every 40 ms, for one after the other: "TIME ok ADDRESS:PORT TEXT" or "TIME lost ADDRESS:PORT WHY"
#   probe.pl flow STOP ADDRESS:PORT N  sends a datagram every 50 ms by each of N sockets: "TIME SOCKET TEXT" for each answer, at the time at which it came
#   probe.pl names STOP NAME…          asks 127.0.0.11 for each every 50 ms: "TIME NAME ADDRESS,ADDRESS…" (sorted), "TIME NAME -" when there is none or no answer for 3 s
#   probe.pl flood STOP NAME…          the same as fast as it goes, without waiting for answers: at the end "TIME questions N, answers N"
#   probe.pl idle STOP ADDRESS:PORT    one TCP connection to an echo: says one thing, nothing more until STOP, and then another: "alive" or what went wrong
#   probe.pl talk STOP ADDRESS:PORT    the same, but it says something every 100 ms: "alive", how often, and the longest time until an echo came in seconds
use strict;
use warnings;
use IO::Select;
use IO::Socket::INET;
use Time::HiRes qw(time sleep);

my $PATIENCE = 2; # seconds
my ($what, $stop, @addresses) = @ARGV;
local $SIG{PIPE} = 'IGNORE';
$| = 1;

sub looked { my ($look, $word, $text) = @_; printf "%.3f %s %s %s\n", $look->{at}, $word, $look->{address}, $text; }

sub begin {
  my ($address) = @_;
  my $look = { at => time, address => $address, in => '', asked => 0 };
  $look->{socket} = IO::Socket::INET->new (PeerAddr => $address, Blocking => 0);
  return $look if $look->{socket};
  looked ($look, 'lost', "$!");
  return;
}

# TRUE: it goes on.
sub go_on {
  my ($look) = @_;
  my $socket = $look->{socket};
  if (!$look->{asked}) {
    my $error = $socket->sockopt (SO_ERROR);
    if ($error) { $! = $error; looked ($look, 'lost', "connect: $!"); return 0; }
    syswrite $socket, "GET / HTTP/1.0\r\n\r\n";
    return $look->{asked} = 1;
  }
  my $n = sysread $socket, $look->{in}, 65536, length $look->{in};
  if (!defined $n) { return 1 if $!{EAGAIN}; looked ($look, 'lost', "read: $!"); return 0; }
  return 1 if $n;
  my ($head, $body) = split /\r\n\r\n/, $look->{in}, 2;
  my $right = defined $body && $head =~ m{^HTTP/1\.\d (?:200|404) };
  chomp ($body) if $right;
  looked ($look, $right ? 'ok' : 'lost', $right ? substr ($body, 0, 20) =~ s/\n.*//sr : 'cut');
  return 0;
}

sub new {
  my (@under_way, $next, $i) = ();
  $next = time;
  while (@under_way || !-e $stop) {
    if (!-e $stop && time >= $next) {
      push @under_way, grep { $_ } begin ($addresses[$i++ % @addresses]);
      $next = $next + 0.04 < time ? time : $next + 0.04;
    }
    my ($read, $write) = ('', '');
    for (@under_way) { if ($_->{asked}) { vec ($read, fileno $_->{socket}, 1) = 1 } else { vec ($write, fileno $_->{socket}, 1) = 1 } }
    select $read, $write, undef, 0.01;
    my @left;
    for my $look (@under_way) {
      my $bits = $look->{asked} ? $read : $write;
      if (time - $look->{at} > $PATIENCE) { looked ($look, 'lost', $look->{asked} ? 'no answer' : 'no connection') }
      elsif (!vec ($bits, fileno $look->{socket}, 1) || go_on ($look)) { push @left, $look }
    }
    @under_way = @left;
  }
}

sub flow {
  my ($address, $n) = @addresses;
  my @sockets = map { IO::Socket::INET->new (PeerAddr => $address, Proto => 'udp') or die "$!\n" } 1 .. $n;
  my $select = IO::Select->new (@sockets);
  my %number = map { fileno $sockets[$_] => $_ + 1 } 0 .. $#sockets;
  until (-e $stop) {
    send $_, '?', 0 for @sockets;
    my $end = time + 0.05;
    while ((my $left = $end - time) > 0) {
      for my $socket ($select->can_read ($left)) {
        if (defined recv $socket, my $answer, 1500, 0) { chomp $answer; printf "%.3f %d %s\n", time, $number{fileno $socket}, $answer; } else { sleep 0.002 }
      }
    }
  }
}

sub question { my ($id, $name) = @_; return pack ('n6', $id, 0x100, 1, 0, 0, 0) . join ('', map { chr (length) . $_ } split /\./, $name) . pack ('xnn', 1, 1); }

sub flood {
  my $socket = IO::Socket::INET->new (PeerAddr => '127.0.0.11:53', Proto => 'udp', Blocking => 0) or die "$!\n";
  my ($sent, $answers, $i) = (0, 0, 0);
  printf "%.3f begun\n", time;
  until (-e $stop) {
    for (1 .. 64) {
      $sent++ if send $socket, question ($i % 65536, $addresses[$i % @addresses]), 0;
      $i++;
      $answers++ if defined recv $socket, my $answer, 1500, 0;
    }
  }
  printf "%.3f questions %d, answers %d\n", time, $sent, $answers;
}

sub names {
  my $socket = IO::Socket::INET->new (PeerAddr => '127.0.0.11:53', Proto => 'udp') or die "$!\n";
  my $select = IO::Select->new ($socket);
  my $id = 0;
  until (-e $stop) {
    for my $name (@addresses) {
      my ($at, $answer) = (time, '');
      $id = ($id + 1) % 65536;
      send $socket, question ($id, $name), 0;
      1 while $select->can_read (3) && defined recv ($socket, $answer, 1500, 0) && length $answer >= 12 && unpack ('n', $answer) != $id;
      my @found;
      if (length $answer >= 12 && unpack ('n', $answer) == $id) {
        my $where = 12 + length ($name) + 2 + 4;
        for (1 .. (unpack 'n4', $answer)[3]) {
          $where++ while ord (substr $answer, $where, 1) < 192 && ord (substr $answer, $where, 1) > 0;
          $where += ord (substr $answer, $where, 1) ? 2 : 1;
          my ($type, undef, undef, $length) = unpack 'nnNn', substr $answer, $where, 10;
          push @found, inet_ntoa (substr $answer, $where + 10, 4) if $type == 1;
          $where += 10 + $length;
        }
      }
      printf "%.3f %s %s\n", $at, $name, @found ? join (',', sort @found) : '-';
    }
    sleep 0.05;
  }
}

sub idle {
  my $socket = IO::Socket::INET->new (PeerAddr => $addresses[0], Timeout => 10);
  if (!$socket) { print "connect: $!\n"; return; }
  my $say = sub {
    my ($word) = @_;
    syswrite $socket, "$word\n" or return "write: $!";
    return "nothing came back" unless IO::Select->new ($socket)->can_read (10);
    my $n = sysread $socket, my $heard, 100;
    return defined $n ? $n && $heard eq "$word\n" ? '' : 'closed' : "read: $!";
  };
  my $wrong = $say->('at first');
  print $wrong eq '' ? "begun\n" : "at first: $wrong\n";
  sleep 0.1 until -e $stop;
  $wrong = $say->('at last');
  print $wrong eq '' ? "alive\n" : "$wrong\n";
}

sub talk {
  my $socket = IO::Socket::INET->new (PeerAddr => $addresses[0], Timeout => 10);
  if (!$socket) { print "connect: $!\n"; return; }
  my ($n, $longest, $select) = (0, 0, IO::Select->new ($socket));
  print "begun\n";
  until (-e $stop) {
    my ($at, $heard) = (time, '');
    $n++;
    if (!syswrite $socket, "$n\n") { print "write $n: $!\n"; return; }
    until ($heard eq "$n\n") {
      if (!$select->can_read (30)) { print "nothing came back for 30 s after $n\n"; return; }
      if (!sysread $socket, $heard, 100, length $heard) { print "ended after $n: $!\n"; return; }
    }
    $longest = time - $at if time - $at > $longest;
    sleep 0.1;
  }
  printf "alive %d %.3f\n", $n, $longest;
}

{ new => \&new, flow => \&flow, names => \&names, flood => \&flood, idle => \&idle, talk => \&talk }->{$what}->();
