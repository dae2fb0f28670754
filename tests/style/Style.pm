# SPDX-License-Identifier: LGPL-2.1-or-later
# What the style checks share: the files of the tree, C text without comments, the way to complain.
package Style;
use strict;
use warnings;
use Exporter 'import';
our @EXPORT = qw(files slurp without_comments complain finish);

my $complaints = 0;

# The tree to look at: the argument, or the one that this file is in.
my $root = $ARGV[0] // __FILE__ =~ s{[^/]*$}{../..}r;
chdir $root or die "$root: $!\n";

# Tracked and new files of a git tree, or all files below a plain directory.
sub files {
    my ($pattern) = @_;
    my @all = -e '.git' ? `git ls-files --cached --others --exclude-standard` : `find . -type f -printf '%P\\n'`;
    chomp @all;
    return grep { -f $_ && $_ =~ $pattern } sort @all;
}

sub slurp {
    my ($path) = @_;
    open my $in, '<', $path or die "$path: $!\n";
    local $/;
    return <$in> // '';
}

# Comments and the contents of strings become spaces; lines stay where they are.
sub without_comments {
    my ($text) = @_;
    $text =~ s{(/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')}{
        my $t = $1;
        my $q = substr $t, 0, 1;
        if ($q eq '/') { $t =~ s/[^\n]/ /g } else { $t = $q . ' ' x (length($t) - 2) . $q }
        $t }gsex;
    return $text;
}

sub complain {
    my ($where, $what) = @_;
    print "$where: $what\n";
    $complaints++;
}

sub finish {
    exit($complaints ? 1 : 0);
}

1;
