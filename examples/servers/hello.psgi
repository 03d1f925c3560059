# SPDX-License-Identifier: MIT
# The same for any PSGI server. Starlet does not say when it is ready, so this does.
use strict;
use warnings;
use Time::HiRes qw(sleep);

print STDERR "hello.psgi is loaded\n";

sub {
    my $env = shift;
    sleep 0.3 if $env->{PATH_INFO} eq '/slow';
    return [200, ['Content-Type' => 'text/plain'], ["hello $$\n"]];
};
