#!/usr/bin/env bash
# AT=program make.sh makes a log whose index has terms by the first rules: whole
# words and their parts, but no two parts in a row. It was run once, like
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
audit init --origin example.com/terms -o json | grep -o '"vkey":"[^"]*"' | cut -d '"' -f 4 > vkey
audit log -t prompt -m model-1 -u user-0 -p 'visit www.example.com, or mail bob@corp.example.com'
audit log -t prompt -m model-1 -u user-1 -p 'set max_tokens_per_day to 1,000, as in v1.2.3-beta'
audit log -t prompt -m model-1 -u user-2 -p "O’Brien's file is /etc/app.conf.d/x, of 2026-10-05T12:00:00Z"
audit log -t prompt -m model-1 -u user-3 -p 'example com, max tokens'
audit log -t prompt -m model-1 -u user-1 -p 'ping 192.168.1.7'
audit gdpr erase user-3 --reason 'asked by letter' --basis 'GDPR 17(1)(b)' --out user-3.certificate
audit checkpoint --out checkpoint
audit reindex
tar --sort=name --owner=0 --group=0 --numeric-owner -cf - . | gzip -9n > "$here/log.tar.gz"
CLOCK=2026-11-03T09:00:00Z "$here/../say.sh" "$here/commands" > "$here/said.txt"
