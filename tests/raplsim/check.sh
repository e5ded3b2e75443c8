#!/bin/bash
# The simulator as a whole: mounts it, reads it as the meter does, breaks it in each way it can be
# broken, and takes it down. Time is set by hand where a value is compared, so nothing here depends
# on how fast the machine is. Usage: check.sh RAPLSIM
set -euo pipefail

raplsim=$1
dir=
simulator=
reader=

skip() {
	echo "skipped: $1"
	exit 77
}

fail() {
	echo "FAILED at line ${BASH_LINENO[-2]}: $1" >&2
	exit 1
}

[ "$(id -u)" = 0 ] || skip 'only root mounts a FUSE tree'
[ -c /dev/fuse ] || skip 'there is no /dev/fuse'

clean() {
	local status=$?

	[ -z "$reader" ] || kill "$reader" 2>/dev/null || true
	[ -z "$simulator" ] || kill -KILL "$simulator" 2>/dev/null || true
	umount -l "$dir/sys" 2>/dev/null || true
	rm -rf --one-file-system "$dir" "$dir.out"
	exit "$status"
}
trap clean EXIT

dir=$(mktemp -d)
chmod 755 "$dir"
powercap=$dir/sys/class/powercap
pid_file=$dir/pid

start() {
	[ "$("$raplsim" run "$dir" --pid-file "$pid_file" "$@")" = ready ] || fail 'not ready'
	simulator=$(<"$pid_file")
}

# A zombie that init has yet to reap has no program any more.
alive() {
	[ -n "$(readlink "/proc/$1/exe")" ]
}

# SIGTERM or `quit` has been sent: the process must end and leave nothing.
await_end() {
	for _ in $(seq 100); do
		alive "$simulator" || break
		sleep 0.05
	done
	! alive "$simulator" || fail 'the simulator did not end'
	simulator=
	[ "$(ls -A "$dir")" = '' ] || fail "left behind: $(ls -A "$dir")"
	! grep -q " $dir/sys " /proc/self/mounts || fail 'still mounted'
}

ctl() {
	"$raplsim" ctl "$dir" "$@"
}

equal() {
	[ "$1" = "$2" ] || fail "'$1' is not '$2'"
}

# Whether a command fails with just this message of the kernel.
fails_with() {
	local message=$1
	local said

	shift
	! said=$(LC_ALL=C "$@" 2>&1) || fail "'$*' succeeded: $said"
	[[ $said == *"$message"* ]] || fail "'$*' says: $said"
}

# Whether ctl ends with this exit status and a message that contains this text.
refuses() {
	local status=$1
	local text=$2
	local said
	local got=0

	shift 2
	said=$(ctl "$@" 2>&1) || got=$?
	equal "$got" "$status"
	[[ $said == *"$text"* ]] || fail "ctl $* says: $said"
}

echo '== layout'
start --packages 2 --dram --psys --core --mmio --busy clock --time manual \
	--idle-watts 61.035 --busy-watts 61.035 --start-below-wrap 122
equal "$(readlink "$powercap/intel-rapl:0:1")" \
	'../../devices/virtual/powercap/intel-rapl/intel-rapl:0/intel-rapl:0:1'
equal "$(stat -c %a%u "$powercap/intel-rapl:0/energy_uj")" 4000
equal "$(cat "$powercap"/intel-rapl:?/name | tr '\n' ' ')" 'package-0 psys package-1 '
equal "$(cat "$powercap"/intel-rapl-mmio:1/name)" package-1
equal "$(readlink -f "$powercap/intel-rapl:2:1/subsystem")" "$powercap"
equal "$(readlink "$dir/proc")" /proc
equal "$(cat "$dir/sys/devices/system/cpu/online")" "$(cat /sys/devices/system/cpu/online)"
equal "$(find "$dir/sys/devices/virtual/powercap/intel-rapl" -mindepth 1 -type d | wc -l)" 7
fails_with 'Permission denied' setpriv --reuid 65534 --clear-groups cat "$powercap/intel-rapl:0/energy_uj"
setpriv --reuid 65534 --clear-groups cat "$powercap/intel-rapl:0/name" >/dev/null
fails_with 'Permission denied' bash -c "echo 0 >'$powercap/intel-rapl:0/enabled'"
fails_with 'No such file' cat "$powercap/intel-rapl:9/name"

echo '== wrap: a microsecond at 61.035 W is one hardware unit'
energy=$powercap/intel-rapl:0/energy_uj
equal "$(cat "$energy")" 262143328789
ctl pass 1
equal "$(cat "$energy")" 60912
ctl pass 0.999
equal "$(cat "$energy")" 60912
ctl pass 0.001
equal "$(cat "$energy")" 121947
truth=$(ctl truth)
[[ $truth == *'"package-0":{"id":"intel-rapl:0","name":"package-0","present":true,"true_uj":122070,"raw_uj":121947,'* ]] ||
	fail "$truth"
[[ $truth == *'"t_ns":2000000,'* ]] || fail "$truth"

echo '== power changes from now on'
ctl set idle-watts 0
ctl load 0 500
ctl pass 1000
equal "$(cat "$energy")" $((121947 + 30517500))
ctl set idle-watts 10
ctl load 0 0
ctl pass 1000
equal "$(cat "$energy")" $((121947 + 40517475))

echo '== a kept descriptor'
# Reads from the start each time it is asked to and answers the value or the error.
coproc READER {
	exec perl -e '
		use Fcntl; $| = 1; $! = 0;
		sysopen(my $file, $ARGV[0], O_RDONLY) or die "$!";
		while (<STDIN>) {
			sysseek($file, 0, 0);
			my $n = sysread($file, my $text, 4096);
			print defined $n ? ($n ? $text : "empty\n") : "$!\n";
		}' "$energy"
}
reader=$READER_PID
kept() {
	local answer

	echo >&"${READER[1]}"
	read -r answer <&"${READER[0]}"
	echo "$answer"
}
before=$(kept)
equal "$before" "$(cat "$energy")"
ctl pass 1000
[ "$(kept)" -gt "$before" ] || fail 'a kept descriptor reads a stale value'

echo '== faults'
zone=intel-rapl:0
ctl fault $zone energy_uj eio
fails_with 'Input/output error' cat "$energy"
equal "$(kept)" 'Input/output error'
ctl fault package-0 energy_uj enodata
fails_with 'No data available' cat "$energy"
ctl fault $zone energy_uj eacces
fails_with 'Permission denied' cat "$energy"
equal "$(kept)" 'Permission denied'
ctl fault $zone energy_uj missing
fails_with 'No such file' cat "$energy"
equal "$(kept)" 'No such device'
! [[ $(ls "$powercap/intel-rapl:0/") == *energy_uj* ]] || fail 'a missing file is listed'
ctl fault $zone energy_uj empty
equal "$(cat "$energy")" ''
equal "$(kept)" empty
ctl fault $zone energy_uj garbage
[[ $(cat -v "$energy") == *x* ]] || fail 'no garbage'
ctl clear
before=$(kept)
ctl fault $zone energy_uj freeze
ctl pass 1000
equal "$(kept)" "$before"
ctl clear
after=$(kept)
[ "$after" -gt "$before" ] || fail 'still frozen'
ctl fault $zone energy_uj backward
equal "$(kept)" $((after - 1000000))
equal "$(kept)" $((after - 2000000))
ctl clear
equal "$(kept)" "$after"
ctl fault $zone energy_uj eio --for 2
fails_with 'Input/output error' cat "$energy"
equal "$(kept)" 'Input/output error'
equal "$(kept)" "$after"
ctl fault package-1 max_energy_range_uj empty
equal "$(cat "$powercap/intel-rapl:2/max_energy_range_uj")" ''
ctl clear

echo '== a slow file delays nobody else'
ctl fault $zone energy_uj slow:300
started=$(date +%s%3N)
equal "$(cat "$energy")" "$after"
[ $(($(date +%s%3N) - started)) -ge 300 ] || fail 'not slow'
ctl fault $zone energy_uj slow:60000
cat "$energy" &
slow=$!
cat "$powercap/intel-rapl:2/energy_uj" >/dev/null
ctl truth >/dev/null
kill -0 $slow || fail 'the slow reader is done already'
kill $slow
wait $slow || true
ctl clear

echo '== a zone that vanishes and returns'
ctl zone remove $zone
fails_with 'No such file' cat "$energy"
equal "$(kept)" 'No such device'
! [[ $(ls "$powercap") == *intel-rapl:0* ]] || fail 'a removed zone is listed'
equal "$(cat "$powercap/intel-rapl:2/name")" package-1
ctl zone add $zone
equal "$(cat "$energy")" "$after"
equal "$(kept)" 'No such device'

echo '== commands are refused clearly'
refuses 1 "unknown command 'frobnicate'" frobnicate
refuses 2 'usage: set' set
refuses 2 "'late' is no fault" fault $zone energy_uj late
refuses 1 "no zone 'intel-rapl:77'" fault intel-rapl:77 energy_uj eio
status=0
"$raplsim" run "$dir" --dies none 2>/dev/null || status=$?
equal $status 2
status=0
said=$("$raplsim" run "$dir" 2>&1) || status=$?
equal $status 1
[[ $said == *'runs in'*'already'* ]] || fail "$said"

echo '== SIGTERM'
kill -TERM "$simulator"
await_end
kill "$reader"
wait "$reader" 2>/dev/null || true
reader=
refuses 1 'no simulator answers' truth

echo '== after SIGKILL the next start cleans up'
start
kill -KILL "$simulator"
while alive "$simulator"; do sleep 0.05; done
fails_with 'not connected' ls "$dir/sys"
start
equal "$(cat "$powercap/intel-rapl:0/name")" package-0

echo '== real CPU time'
# A child that has burnt some CPU time and waits: its share of the truth is settled.
coproc BURNER { exec perl -e '$| = 1; 1 while (times)[0] < 0.3; print "burnt\n"; <STDIN>'; }
burner=$BURNER_PID
first=$(ctl truth)
read -r _ <&"${BURNER[0]}"
last=$(ctl truth --pid "$burner")
perl -MJSON::PP -e '
	my ($first, $last) = map { decode_json($_) } @ARGV;
	my $process = $last->{processes}[0];
	my $threads = 0;
	my ($before, $after) = map { $_->{zones}{"package-0"} } $first, $last;
	my $elapsed_ns = $last->{t_ns} - $first->{t_ns};
	my $busy_ns = 0;

	$threads += $_->{cpu_ns} for @{$process->{threads}};
	$busy_ns += $_->{busy_ns} for @{$last->{cpus}};
	$busy_ns -= $_->{busy_ns} for @{$first->{cpus}};
	die "threads $threads, process $process->{cpu_ns}\n" if $threads != $process->{cpu_ns};
	die "burnt $threads ns only\n" if $threads < 280e6;
	# A watt is a nanojoule in each nanosecond.
	die "process energy\n" if $process->{true_uj} != int($threads * 15e-3);
	die "busy $busy_ns ns\n" if abs($after->{busy_uj} - $before->{busy_uj} - $busy_ns * 15e-3) > 2;
	die "idle\n" if abs($after->{idle_uj} - $before->{idle_uj} - $elapsed_ns * 20e-3) > 2;
	die "sum\n" if $after->{true_uj} - $after->{idle_uj} - $after->{busy_uj} > 1;
' "$first" "$last" || fail 'the truth is not'
kill "$burner"
wait "$burner" 2>/dev/null || true
ctl quit
await_end

echo '== in the foreground'
"$raplsim" run "$dir" --foreground --packages 12 --dies 2 --busy clock --cpus 48 >"$dir.out" &
simulator=$!
for _ in $(seq 100); do
	! grep -q ready "$dir.out" || break
	sleep 0.05
done
equal "$(<"$dir.out")" ready
rm "$dir.out"
equal "$(cat "$powercap/intel-rapl:17/name")" package-11-die-1
equal "$(cat "$dir/sys/devices/system/cpu/online")" 0-47
equal "$(cat "$dir/sys/devices/system/cpu/cpu47/topology/die_id")" 1
kill -INT "$simulator"
wait "$simulator" || fail "ended with $?"
simulator=
equal "$(ls -A "$dir")" ''

echo 'all passed'
