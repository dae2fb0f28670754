#!/usr/bin/perl
# SPDX-License-Identifier: LGPL-2.1-or-later
# raw-dbus.pl [NAME]: calls CreateService on the system bus with a Name whose bytes are no UTF-8 (or NAME), written by hand, for no D-Bus library
# sends such a thing. Prints what comes of it: "disconnected", "error NAME" or "accepted".
use strict;
use warnings;
use IO::Socket::UNIX;

sub pad { my ($s, $n) = @_; return $s . "\0" x (-length($s) % $n) }
sub str { return pack('V/a* x', $_[0]) }
my $serial = 0;

sub call { # DESTINATION PATH INTERFACE MEMBER [SIGNATURE BODY]
    my ($destination, $path, $interface, $member, $signature, $body) = @_;
    my $fields = '';
    for ([ 1, 'o', $path ], [ 2, 's', $interface ], [ 3, 's', $member ], [ 6, 's', $destination ]) {
        $fields = pad($fields, 8) . pack('C', $_->[0]) . "\1$_->[1]\0" . str($_->[2]);
    }
    $fields = pad($fields, 8) . pack('C', 8) . "\1g\0" . pack('C/a* x', $signature) if defined $signature;
    $body //= '';
    return pad('l' . pack('CCC', 1, 0, 1) . pack('VVV', length $body, ++$serial, length $fields) . $fields, 8) . $body;
}

my $bus = IO::Socket::UNIX->new(Peer => '/run/dbus/system_bus_socket') or die "no bus: $!\n";
$bus->autoflush(1);
print $bus "\0AUTH EXTERNAL " . unpack('H*', "$>") . "\r\n";
my $answer = <$bus>;
$answer =~ /^OK/ or die "not let in: $answer";
print $bus "BEGIN\r\n";
print $bus call('org.freedesktop.DBus', '/org/freedesktop/DBus', 'org.freedesktop.DBus', 'Hello');
sleep 1;

# a{sv} with Name, a{sv} empty: the alignment is that of the beginning of the body
my $entry = str('Name') . "\1s\0";
$entry = pad($entry, 4) . str($ARGV[0] // "bad\xff\xfe");
my $body = pack('V', length $entry) . "\0" x 4 . $entry;
$body = pad($body, 4) . pack('V', 0);
$body = pad($body, 8);
print $bus call('org.swarmagent1', '/org/swarmagent1', 'org.swarmagent1.Manager', 'CreateService', 'a{sv}a{sv}', $body);

$SIG{ALRM} = sub { print "nothing for 10 s\n"; exit 0 };
alarm 10;
my $seen = '';
while (sysread $bus, my $bytes, 65536) {
    $seen .= $bytes;
    if ($seen =~ /(org\.(?:swarmagent1|freedesktop\.DBus)\.Error\.\w+)/) { print "error $1\n"; exit 0 }
}
print "disconnected\n";
