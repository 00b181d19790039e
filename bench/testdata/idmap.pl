#!/usr/bin/perl
# idmap.pl SOURCE TARGET INSIDE:OUTSIDE:COUNT...: binds SOURCE to TARGET, read-only, with the owners shifted, for users and groups
# alike. mount(8) can do it from util-linux 2.39 on; Debian 12 has 2.38, so here are the three system calls of mount(8), for amd64.
use strict;
use warnings;

my ($source, $target, @map) = @ARGV;
pipe(my $wait, my $go) or die "pipe: $!";
my $pid = fork // die "fork: $!";
if (!$pid) {
	close $go;
	syscall(272, 0x10000000) == 0 or die "unshare: $!";    # CLONE_NEWUSER
	readline $wait;
	exit;
}
close $wait;
my $own = readlink "/proc/self/ns/user";
my $tries = 0;
until ((readlink("/proc/$pid/ns/user") // $own) ne $own) {
	select undef, undef, undef, 0.005;
	die "no user namespace" if ++$tries > 1000;
}
for my $kind ("uid_map", "gid_map") {
	open my $f, ">", "/proc/$pid/$kind" or die "$kind: $!";
	syswrite $f, join("", map { join(" ", split /:/) . "\n" } @map) or die "$kind: $!";
}
open my $ns, "<", "/proc/$pid/ns/user" or die "user namespace: $!";
# syscall wants strings that it could write to.
my ($from, $to, $nothing) = ("$source\0", "$target\0", "\0");
my $tree = syscall(428, -100, $from, 0x1 | 0x80000 | 0x8000);    # open_tree: CLONE, CLOEXEC, RECURSIVE
$tree >= 0 or die "open_tree $source: $!";
my $attributes = pack "Q4", 0x100000 | 0x1, 0, 0, fileno $ns;     # IDMAP, RDONLY
syscall(442, $tree, $nothing, 0x1000, $attributes, length $attributes) == 0 or die "mount_setattr $source: $!";
syscall(429, $tree, $nothing, -100, $to, 0x4) == 0 or die "move_mount $target: $!";
close $go;
waitpid $pid, 0;
