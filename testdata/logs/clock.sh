#!/usr/bin/env bash
# clock.sh SOURCE OUT builds the command of the checkout SOURCE as OUT, with the
# one difference that its clock starts at $CLOCK (RFC 3339), where that is set.
# Nothing of the program is changed, but time.Now in Go's library: so a log can
# be made whose records are months old, and which expire and are dropped.
set -euo pipefail
source=$1 out=$(realpath -m "$2")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
go=$(go env GOROOT)/src/time/time.go
sed 's/^func Now() Time {$/func trueNow() Time {/' "$go" > "$work/time.go"
cat >> "$work/time.go" <<'GO'

// Now returns the time at which $CLOCK lets the process start, and what has
// passed since.
func Now() Time { return trueNow().Add(clockOffset) }

var clockOffset = func() Duration {
	s, ok := syscall.Getenv("CLOCK")
	if !ok {
		return 0
	}
	start, err := Parse(RFC3339, s)
	if err != nil {
		panic("CLOCK: " + err.Error())
	}
	return start.Sub(trueNow())
}()
GO
sed -i 's/^import (\?$/&\n\t"syscall"/' "$work/time.go"
printf '{"Replace":{"%s":"%s"}}' "$go" "$work/time.go" > "$work/overlay.json"
cd "$source"
CGO_ENABLED=0 go build -buildvcs=false -overlay "$work/overlay.json" -o "$out" ./cmd/audittrail
