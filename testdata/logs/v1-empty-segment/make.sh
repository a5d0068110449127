#!/usr/bin/env bash
# AT=program make.sh makes a log as the version before any release left it where
# a segment could not be begun: on a full disk, or with too many open files, the
# file stayed empty, and the process went on in the segment before. It was run
# once, like ../v1/make.sh.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
mkdir /srv/kept
cd /srv/kept
n=0
audit() {
	n=$((n + 1))
	CLOCK=$(date -u -d "2026-10-05T09:00:00Z + $n minutes" +%Y-%m-%dT%H:%M:%SZ) "$AT" "$@"
}
mkdir audit
echo 'segment_bytes = 8192' > audit/config.toml
audit init --origin example.com/empty -o json | grep -o '"vkey":"[^"]*"' | cut -d '"' -f 4 > vkey
for i in $(seq 20); do
	audit log -t prompt -m model-1 -u user-$((i % 3)) -p "What of invoice $i?" --id "invoice-$i"
done
audit gdpr erase user-1 --reason 'asked by letter' --basis 'GDPR 17(1)(b)' --out user-1.certificate
audit checkpoint --out checkpoint
for i in $(seq 21 23); do
	audit log -t prompt -m model-1 -u user-$((i % 3)) -p "What of invoice $i?" --id "invoice-$i"
done
ls audit/log
# What the failed rolls left: one between records of a segment, one before the
# last records, with the side file that could be made.
first=$(basename "$(ls audit/log/*.jsonl | sed -n 2p)" .jsonl)
printf -v middle %020d $((10#$first + 2))
printf -v late %020d 22
: > "audit/log/$middle.jsonl"
: > "audit/log/$late.jsonl"
: > "audit/log/$late.side"
tar --sort=name --owner=0 --group=0 --numeric-owner -cf - . | gzip -9n > "$here/log.tar.gz"
CLOCK=2026-11-03T09:00:00Z "$here/../say.sh" "$here/commands" > "$here/said.txt"
