#!/usr/bin/env bash
# AT=program say.sh COMMANDS runs each command of the file in the folder that it
# is started in, and prints the commands with what they say: "> " before a line
# of standard output, "! " before one of standard error, and the exit status.
# CLOCK is the time at which all of them run.
set -uo pipefail
err=$(mktemp)
trap 'rm -f "$err"' EXIT
# plain leaves out what differs each time: times taken, the clock, the disk.
plain() {
	sed -E -e 's/, in [0-9.]+ s$/, in _ s/' -e 's/("check":"clock",.*"detail":)"[^"]*"/\1"_"/' -e 's/[0-9.]+ [kMGT]?B left/_ left/' -e "s/^/$1/"
}

grep -v -e '^#' -e '^$' "$1" | while read -r line; do
	echo "\$ $line"
	token=
	case $line in "as "*) line=${line#as } token=$(cat "${line%% *}") line=${line#* } ;; esac
	eval "${token:+AUDITTRAIL_TOKEN=$token} \"\$AT\" $line" < /dev/null 2> "$err" | plain '> '
	status=${PIPESTATUS[0]}
	plain '! ' < "$err"
	echo "= $status"
done
