#!/usr/bin/perl
# SPDX-License-Identifier: LGPL-2.1-or-later
# peer.pl ADDRESS CLUSTER CASE [ID]: a node gone bad. Speaks to a manager with this host's certificate, over openssl, and does what CASE says:
#   info               asks for the root certificate: the one thing that works, so that the others are known to arrive
#   hold               the same, then waits for the end of the connection
#   message            sends a message of the consensus, as managers do
#   relay              passes on a call that it claims to have authorised: the promotion of node ID
#   heartbeat          beats in a session that is not its own
#   report             registers, then reports about task ID, which is another node's
#   flood SECONDS      good calls without end, their answers read; on a connection for heartbeats if KIND=1
#   deaf SECONDS       the same, but no answer is read
#   slow-hello         says its Hello a byte a second
#   guess SECONDS      asks for a certificate with made-up tokens, over and over (NOCERT=1)
#   renew FILE         asks for its next certificate with the request in FILE, and prints it; CERT=… KEY=…: shows these
#   issue FILE         asks to be let in with the request in FILE and the token in $TOKEN
# NOCERT=1: shows no certificate.
# Prints "reply" or "error NAME: TEXT" or "closed".
use strict;
use warnings;
use IPC::Open2;

my ($address, $cluster, $case, $id) = @ARGV;
my $serial = 0;

sub id_bytes { # 25 digits of base 36, most significant first → 16 bytes
    my @bytes = (0) x 16;
    for my $digit (split //, $_[0]) {
        my $carry = index '0123456789abcdefghijklmnopqrstuvwxyz', $digit;
        for my $i (reverse 0 .. 15) {
            my $n = $bytes[$i] * 36 + $carry;
            ($bytes[$i], $carry) = ($n & 255, $n >> 8);
        }
    }
    return pack 'C16', @bytes;
}

# D-Bus marshalling, little-endian: each appends to $_[0]
sub pad { $_[0] .= "\0" x (-length($_[0]) % $_[1]) }
sub put_bytes { pad($_[0], 4); $_[0] .= pack 'V/a*', $_[1] }
sub put_string { pad($_[0], 4); $_[0] .= pack 'V/a* x', $_[1] }

sub frame { my ($kind, $serial, $payload) = @_; return pack('NCCnNNNN', length $payload, $kind, 0, 0, $serial, 10000, 0, 0) . $payload }

sub hello { return frame(1, 0, pack('NnnNCx3', 0x5357524d, 1, 1, 1, $ENV{KIND} // 0) . id_bytes($cluster) . pack('C/a*', 'bad')) }

sub call { # INTERFACE MEMBER SIGNATURE BODY
    my ($interface, $member, $signature, $body) = @_;
    my $fields = '';
    for ([ 1, 'o', '/org/swarmagent1/wire' ], [ 2, 's', "org.swarmagent1.$interface" ], [ 3, 's', $member ]) {
        pad($fields, 8);
        $fields .= pack('C', $_->[0]) . "\1$_->[1]\0";
        put_string($fields, $_->[2]);
    }
    if ($signature ne '') {
        pad($fields, 8);
        $fields .= pack('C', 8) . "\1g\0" . pack('C/a* x', $signature);
    }
    $serial++;
    my $message = 'l' . pack('CCC', 1, 0, 1) . pack('VVV', length $body, $serial, length $fields) . $fields;
    pad($message, 8);
    return frame(2, $serial, $message . $body);
}

my $node = '/var/lib/swarm-agent/node';
my ($own_cert, $own_key) = ($ENV{CERT} // "$node/node.crt", $ENV{KEY} // "$node/node.key");
my $own = $ENV{NOCERT} ? '' : "-cert $own_cert -key $own_key";
my $pid = open2(my $from, my $to, 'sh', '-c', "exec openssl s_client -quiet -verify_quiet -connect $address $own 2> /dev/null");
END { kill 'TERM', $pid if $pid }
binmode $_ for $from, $to;
$to->autoflush(1);
$SIG{ALRM} = sub { print "nothing for 15 s\n"; exit 1 };
$SIG{PIPE} = 'IGNORE';
alarm($case =~ /^(?:flood|deaf|guess)$/ ? $id + 30 : 15);

my $seen = '';
sub take { my $n = shift; while (length $seen < $n) { sysread($from, $seen, 65536, length $seen) or do { print "closed\n"; exit 0 } } return substr $seen, 0, $n, '' }

sub answer { # the body of the reply to our last call; ends with what was said when that is an error
    while (1) {
        my ($length, $kind, undef, undef, $number) = unpack 'NCCnN', take(24);
        my $payload = take($length);
        next if $kind != 2 && $kind != 7 || unpack('x C', $payload) == 1; # its calls of us
        my $e = substr($payload, 0, 1) eq 'l' ? 'V' : 'N';
        my ($body, undef, $fields) = unpack "x4 $e$e$e", $payload;
        my $text = substr $payload, length($payload) - $body;
        if (unpack('x C', $payload) == 3) {
            my ($name) = $payload =~ /(org\.[\w.]*Error\.\w+)/;
            print "error $name: ", substr($text, 4, unpack($e, $text)), "\n";
            exit 0;
        }
        return $text;
    }
}

sub blast { # SECONDS READ: what $_[2] holds, again and again
    my ($seconds, $read, $bytes) = @_;
    my ($end, $answers) = (time + $seconds, 0);
    $_->blocking(0) for $from, $to;
    my $at = 0;
    while (time < $end) {
        my ($r, $w) = ('', '');
        vec($r, fileno $from, 1) = 1 if $read;
        vec($w, fileno $to, 1) = 1;
        select($r, $w, undef, 1) or next;
        if ($read && vec $r, fileno $from, 1) { my $n = sysread($from, my $answer, 1 << 16); last if defined $n && $n == 0; $answers += $n // 0 }
        next if !vec $w, fileno $to, 1;
        my $n = syswrite($to, $bytes, length($bytes) - $at, $at) // next;
        $at = ($at + $n) % length $bytes;
    }
    print $! && time < $end ? "closed\n" : "over after $answers bytes of answers\n";
    exit 0;
}

if ($case eq 'slow-hello') {
    for my $byte (split //, hello()) {
        print $to $byte or last;
        my $r = '';
        vec($r, fileno $from, 1) = 1;
        next unless select $r, undef, undef, 1;
        print sysread($from, my $why, 1000) ? "told why\n" : "closed\n";
        exit 0;
    }
    print "nobody minded\n";
    exit 0;
}
print $to hello();
if ($case eq 'flood' || $case eq 'deaf') {
    take(24 + 33); # its Hello, or most of it
    blast($id, $case eq 'flood', join '', map { call('CA', 'GetRootCA', '', '') } 1 .. 200);
} elsif ($case eq 'guess') {
    take(24 + 33);
    blast($id, 1, join '', map { my $body = ''; put_string($body, $_) for 'no request', "SWMTKN-1-$_", 'active', ''; call('CA', 'Issue', 'ssss', $body) } 1 .. 50);
} elsif ($case eq 'info') {
    print $to call('CA', 'GetRootCA', '', '');
} elsif ($case eq 'hold') {
    print $to call('CA', 'GetRootCA', '', '');
    answer();
    print "reply\n";
    STDOUT->flush();
    alarm(90);
    answer();
} elsif ($case eq 'message') {
    my $body = '';
    put_bytes($body, "\1" x 64);
    print $to call('Consensus', 'Message', 'ay', $body);
} elsif ($case eq 'relay') {
    my $body = '';
    put_string($body, $_) for "/org/swarmagent1/node/$id", 'org.swarmagent1.Node', 'Promote';
    $body .= "\1b\0";
    pad($body, 4);
    $body .= pack 'VV', 0, 0;
    pad($body, 8);
    print $to call('Relay', 'Call', 'sssva{sv}', $body);
} elsif ($case eq 'heartbeat') {
    my $body = '';
    put_bytes($body, "\1" x 16);
    pad($body, 8);
    print $to call('Dispatcher', 'Heartbeat', 'ayx', $body . pack 'q<', time * 1000000);
} elsif ($case eq 'report') {
    my $body = '';
    put_bytes($body, '');
    put_string($body, '');
    put_bytes($body, '');
    print $to call('Dispatcher', 'Register', 'aysay', $body);
    my $reply = answer();
    my $struct = '';
    put_bytes($struct, id_bytes($id));
    put_bytes($struct, '');
    $body = '';
    put_bytes($body, substr $reply, 4, 16);
    pad($body, 4);
    $body .= pack 'V', length $struct;
    pad($body, 8);
    print $to call('Dispatcher', 'UpdateTaskStatus', 'aya(ayay)', $body . $struct);
    print answer() =~ /(task [ -~]+)/ ? "refused: $1\n" : "taken\n";
    exit 0;
} elsif ($case eq 'renew' || $case eq 'issue') {
    open my $file, '<', $id or die "$id: $!\n";
    my $request = do { local $/; <$file> };
    my $body = '';
    put_string($body, $_) for $request, $case eq 'issue' ? ($ENV{TOKEN}, 'active', '') : ();
    print $to call('CA', $case eq 'renew' ? 'Renew' : 'Issue', $case eq 'renew' ? 's' : 'ssss', $body);
    my ($cert) = answer() =~ /(-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n)/s;
    print $cert // "no certificate\n";
    exit 0;
} else {
    die "no such case: $case\n";
}
answer();
print "reply\n";
