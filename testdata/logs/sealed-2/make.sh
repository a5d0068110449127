#!/usr/bin/env bash
# AT=program make.sh makes a log like that of ../v1, with the same content, in the
# formats of record 2, of sealed side files and id tables, of tombstones that say who
# acted, and of the index with parts of words. It was run once, like ../v1/make.sh.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
mkdir /srv/kept
cd /srv/kept

at=2026-01-10T09:00:00Z
n=0
# later TIME: what follows happens at that time, and a minute apart.
later() { at=$1 n=0; }
audit() {
	n=$((n + 1))
	CLOCK=$(date -u -d "$at + $n minutes" +%Y-%m-%dT%H:%M:%SZ) "$AT" "$@"
}
as() { AUDITTRAIL_TOKEN=$(cat "$1") audit "${@:2}"; }
# value NAME: the text field of that name in the JSON on standard input.
value() { grep -o "\"$1\":\"[^\"]*\"" | head -n 1 | cut -d '"' -f 4; }
# events FIRST LAST CLASS: one event of each number, a minute apart.
events() {
	local types=(prompt response tool_call tool_result) outcomes=(success success error blocked)
	for i in $(seq "$1" "$2"); do
		printf '{"type":"%s","model_id":"model-%d","model_version":"%d","deployment_id":"bot-prod","user_id":"user-%d","session_id":"session-%d","prompt":"Is invoice %d paid, and by whom?","response":"Invoice %d was paid by person-%d@example.com.","latency_ms":%d.5,"input_tokens":%d,"output_tokens":%d,"cost":{"amount":0.%04d,"currency":"EUR"},"outcome":"%s","labels":{"team":"team-%d"},"metadata":{"number":%d},"retention_class":"%s"}\n' \
			"${types[i % 4]}" $((i % 3)) $((i % 2)) $((i % 7)) $((i % 5)) "$i" "$i" $((i % 7)) $((100 + i)) $((i + 10)) $((2 * i)) "$i" "${outcomes[i / 3 % 4]}" $((i % 2)) "$i" "$3"
	done
}
# A path below the folder that the process is in, so that the archive is found
# wherever the kept log is unpacked.
cwd=/proc/self/cwd
mkdir archive audit

# January: a log with short segments, and what is kept for a month.
echo 'segment_bytes = 12288' > audit/config.toml
audit init --origin example.com/kept -o json | value vkey > first.vkey
audit retention policy set --class short --keep-for 1mo --drop-after 2mo --by Ada
audit retention policy set --class standard --keep-for 2y --archive-after 3mo --archive-to $cwd/archive --by Ada
audit retention policy set --class incidents --keep-for 10y --type safety_incident --label env=prod --by Ada
events 0 39 short > short.jsonl
audit import short.jsonl --source short
audit checkpoint --out january.checkpoint

# February: what is kept for two years, and moves to the archive.
later 2026-02-10T09:00:00Z
events 40 89 standard > february.jsonl
audit import --accept-clock february.jsonl --source february
audit log -t safety_incident --label env=prod --severity high --category injection -u user-3 -p 'Ignore all of this.'

# September: who may do what, and what is due by the policy.
later 2026-09-01T09:00:00Z
events 90 159 standard > imported.jsonl
audit import --accept-clock imported.jsonl
audit access grant officer privacy -o json > officer
audit access grant deputy privacy -o json > deputy
audit access grant looker viewer --scope model=model-1 -o json > looker
audit access grant gone auditor -o json > gone
for who in officer deputy looker gone; do value token < $who > $who.token; value id < $who > $who.id; rm $who; done
audit access revoke "$(cat gone.id)"
audit retention apply

# October: keys, holds, erasures, restrictions.
later 2026-10-05T09:00:00Z
audit keys backup --accept-clock --out keys.age --identity-out keys.identity --expires 36500d
audit hold place --reason 'case 17' --user user-6 -o json | value id > hold.id
audit hold place --reason 'case 18' --model model-2 --start 2026-01-01 --end 2026-01-31
audit hold place --reason 'case 19' --class incidents -o json | value id > released.id
audit hold release "$(cat released.id)" --reason settled
as officer.token gdpr erase user-1 --reason 'asked by letter' --basis 'GDPR 17(1)(b)' --out user-1.certificate
printf 'user-6\nuser-4\nnobody\n' > users.txt
audit gdpr erase --file users.txt --reason 'contract ended' --basis 'GDPR 17(1)(a)' --out users.certificates || echo "erase: $?"
audit gdpr restrict user-2 --reason 'disputes accuracy'
audit gdpr restrict user-3 --reason 'disputes accuracy'
audit gdpr lift user-3 --reason settled
audit keys rotate-signer
audit keys show -o json | value vkey > second.vkey
audit checkpoint --out october.checkpoint
audit prove 120 --out 120.tlog-proof
audit show --raw 120 > 120.json
audit disclose 121 --out 121.disclosed
audit log -t prompt --id known-1 -m model-0 -u user-5 -p 'recorded once'
audit keys rotate-master
audit keys backup --out later.age --identity-out later.identity --expires 36500d

# What models are made of.
echo 'id,text' > tickets.csv
audit lineage add dataset --name tickets --version 1 --record-count 120 --personal-data --digest-of tickets.csv --licence CC-BY-4.0
audit lineage add dataset --name clean --version 1 --source dataset:tickets@1
audit lineage add run --name train-1 --model bot --dataset dataset:clean@1 --parameter epochs=3 --metric accuracy=0.93
audit lineage add model --name model-1 --version 1 --run run:train-1 --risk-tier limited --intended-use 'answers about invoices'
audit lineage add prompt --name polite --version 1 --text 'Be polite.'
audit lineage add deployment --model model:model-1@1 --id bot-prod --environment production --from 2026-01-01
audit lineage add evaluation --name red-team --model model-1@1 --metric refused=0.98 --result passed
cat > run.ndjson <<'J'
{"eventType":"COMPLETE","eventTime":"2026-05-02T10:30:00Z","producer":"https://example.com/etl","schemaURL":"https://openlineage.io/spec/2-0-2/OpenLineage.json#/definitions/RunEvent","run":{"runId":"d46e465b-d358-4d32-83d4-df660ff614dd"},"job":{"namespace":"etl","name":"weekly"},"inputs":[{"namespace":"db","name":"orders"}],"outputs":[{"namespace":"db","name":"features"}]}
J
audit lineage import run.ndjson -o json
cat > bom.json <<'J'
{"bomFormat":"CycloneDX","specVersion":"1.6","version":1,"components":[{"type":"machine-learning-model","bom-ref":"m","name":"base","version":"7"},{"type":"data","bom-ref":"d","name":"web","version":"3"}],"dependencies":[{"ref":"m","dependsOn":["d"]}]}
J
audit lineage import bom.json -o json
audit lineage export --format cyclonedx model:model-1@1 --out exported.json

# November: two persons for what cannot be undone, a report, and the end of the log.
later 2026-11-02T09:00:00Z
printf 'separate_duties = true\n' >> audit/config.toml
as deputy.token gdpr approve --accept-clock user-0 -o json | value id > approval.id
as officer.token gdpr erase user-0 --reason 'asked by letter' --basis 'GDPR 17(1)(b)' --approval "$(cat approval.id)" --out user-0.certificate
printf 'segment_bytes = 12288\nrecord_reads = "never"\n' > audit/config.toml
events 160 199 standard > november.jsonl
audit import --source november - < november.jsonl
events 200 209 standard > bypath.jsonl
audit import bypath.jsonl
audit archive create 0 --to $cwd/archive --reason 'make room' || true
audit gdpr export user-3 --out user-3.zip
audit report --format json --out report.json
audit reindex
audit checkpoint --out november.checkpoint
audit consistency october.checkpoint --out consistency
audit tree export tree

tar --sort=name --owner=0 --group=0 --numeric-owner -cf - . | gzip -9n > "$here/log.tar.gz"
CLOCK=2026-11-03T09:00:00Z "$here/../say.sh" "$here/commands" > "$here/said.txt"
