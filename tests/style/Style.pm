# SPDX-License-Identifier: LGPL-2.1-or-later
# What the style checks share: the files of the tree, C text without comments, the way to complain.
package Style;
use strict;
use warnings;
use Exporter 'import';
our @EXPORT = qw(files tracked slurp without_comments complain finish);

my $complaints = 0;

# The tree to look at: the argument, or the one that this file is in.
my $root = $ARGV[0] // __FILE__ =~ s{[^/]*$}{../..}r;
chdir $root or die "$root: $!\n";

# The files that git names (whoever owns the tree); without git, all but what is built.
sub listed {
    my @all;
    @all = `git -c safe.directory='*' -c core.quotePath=false ls-files @_` if -e '.git';
    @all = grep { !m{^(?:build[^/]*|tests/lab/[.]cache)/} } `find . -type f -not -path './.git/*' -printf '%P\\n'` if !@all;
    chomp @all;
    @all or die "no files to check\n";
    return grep { -f $_ } sort @all;
}

# Tracked and new files.
sub files {
    my ($pattern) = @_;
    return grep { $_ =~ $pattern } listed(qw(--cached --others --exclude-standard));
}

# What a commit would take along: not what lies about beside it.
sub tracked {
    return listed('--cached');
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
