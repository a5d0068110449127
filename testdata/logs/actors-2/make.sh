#!/usr/bin/env bash
# AT=program make.sh makes a log whose tombstones do not say who acted (version 2),
# with certificates that do not either (version 1). It was run once, like
# ../v1/make.sh.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
mkdir /srv/kept
cd /srv/kept
n=0
audit() {
	n=$((n + 1))
	CLOCK=$(date -u -d "2026-10-05T09:00:00Z + $n minutes" +%Y-%m-%dT%H:%M:%SZ) "$AT" "$@"
}
audit init --origin example.com/actors -o json | grep -o '"vkey":"[^"]*"' | cut -d '"' -f 4 > vkey
echo 'segment_bytes = 4096' > audit/config.toml
for i in 1 2 3 4; do
	audit log -t prompt -m model-1 -u user-1 -p "question $i" -r "answer $i"
	audit log -t human_review -u user-1 --actor rick --label review=approved
	audit log -t human_review -u user-2 --actor rita --label review=changed
done
for i in 5 6 7 8 9 10 11 12; do
	audit log -t prompt -m model-1 -u user-2 -p "question $i: $(seq -s ' ' 200)"
	audit log -t human_review -u user-2 --actor rick
done
mkdir archive
audit archive create 0 --to /proc/self/cwd/archive --reason 'make room'
audit log -t human_review -u user-3 --actor rick
audit gdpr erase user-1 --reason 'asked by letter' --basis 'GDPR 17(1)(b)' --out user-1.certificate
audit checkpoint --out checkpoint
tar --sort=name --owner=0 --group=0 --numeric-owner -cf - . | gzip -9n > "$here/log.tar.gz"
CLOCK=2026-11-03T09:00:00Z "$here/../say.sh" "$here/commands" > "$here/said.txt"
