#!/usr/bin/perl
# Runs a program again and again, at a rate, and keeps count: drive.pl PROGRESS PER_SECOND COUNT BATCH CLIENTS PROGRAM [ARGUMENT…]
#
# Each run makes BATCH events. A run that is late is started at once, but no more than CLIENTS run side by side. PROGRESS is
# written, whole, at most ten times a second; what the program says on stderr is kept beside it. perl-base is part of every
# Debian system; it has no clock finer than the kernel's ticks, which are 10 ms, and needs none.
use strict;
use warnings;
use POSIX qw(:sys_wait_h);

my ($progress, $per_second, $count, $batch, $clients, @argv) = @ARGV;
my $ticks = POSIX::sysconf(POSIX::_SC_CLK_TCK());
my ($started, $events, $failed, $code, $written) = (0, 0, 0, 0, -1);
my %running;

sub now { return (POSIX::times())[0] / $ticks }

sub keep {
	my ($done) = @_;
	return if !$done && now() - $written < 0.1;
	open my $out, '>', "$progress.new" or die "cannot write $progress: $!\n";
	printf $out '{"events":%d,"failed":%d,"code":%d,"done":%s}' . "\n", $events, $failed, $code, $done ? 'true' : 'false';
	close $out or die "cannot write $progress: $!\n";
	rename "$progress.new", $progress or die "cannot write $progress: $!\n";
	$written = now();
}

sub start {
	my $pid = fork;
	die "cannot start a run: $!\n" if !defined $pid;
	if ($pid == 0) {
		truncate "$progress.err", 0 if (-s "$progress.err" || 0) > 65536;
		open STDIN, '<', '/dev/null';
		open STDOUT, '>', '/dev/null';
		open STDERR, '>>', "$progress.err";
		exec { $argv[0] } @argv or print STDERR "cannot run $argv[0]: $!\n";
		POSIX::_exit(127);
	}
	$running{$pid} = 1;
	$started += $batch;
}

sub reap {
	while ((my $pid = waitpid -1, WNOHANG) > 0) {
		next if !delete $running{$pid};
		if ($? == 0) { $events += $batch; next }
		$failed += $batch;
		$code = $? & 127 ? 128 + ($? & 127) : $? >> 8;
	}
}

$SIG{CHLD} = sub { };    # interrupts select
my $begun = now();
until ($count && $started >= $count && !%running) {
	reap();
	my $due = $begun + $started / $per_second - now();
	if (!($count && $started >= $count) && $due <= 0 && keys %running < $clients) {
		start();
	} else {
		# A run that ends just before select does not interrupt it, so it never waits for long.
		select undef, undef, undef, $due > 0 && $due < 0.05 ? $due : 0.05;
	}
	keep(0);
}
keep(1);
