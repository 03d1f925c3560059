#!/usr/bin/perl
# SPDX-License-Identifier: MIT
# A server that knows its sockets from Server::Starter alone. Answers each connection with one JSON line.
use strict;
use warnings;
use IO::Select;
use IO::Socket;
use Server::Starter qw(server_ports);

my $ports = server_ports();
my $leave = 0;
$SIG{TERM} = sub { $leave = 1 };
my $select = IO::Select->new;
for my $name (keys %$ports) {
    my $listener = $name =~ m{^/} ? IO::Socket::UNIX->new : IO::Socket::INET->new;
    $listener->fdopen($ports->{$name}, 'w') or die "$name: $!";
    ${*$listener}{holdfast_name} = $name;
    $select->add($listener);
}
until ($leave) {
    for my $listener ($select->can_read) {
        my $connection = $listener->accept or next;
        printf $connection qq({"pid": %d, "name": "%s", "generation": %d}\n),
            $$, ${*$listener}{holdfast_name}, $ENV{SERVER_STARTER_GENERATION};
        close $connection;
    }
}
