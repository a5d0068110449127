package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"audittrail"
	"audittrail/event"
	"audittrail/internal/logtest"
)

// TestKill kills a process that imports under load, at random moments, and
// checks the records that it had acknowledged. AUDITTRAIL_EXPLORE is the number
// of minutes to continue.
func TestKill(t *testing.T) {
	rounds, until := 10, time.Time{}
	if minutes, err := strconv.ParseFloat(os.Getenv("AUDITTRAIL_EXPLORE"), 64); err == nil {
		rounds, until = 1<<30, time.Now().Add(time.Duration(minutes*float64(time.Minute)))
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	k := &killed{
		dir: filepath.Join(t.TempDir(), "audit"), rng: rand.New(rand.NewPCG(seed, 0)), acked: make(map[uint64]ack),
	}
	mustRun(t, "--dir", k.dir, "init")
	for round := range rounds {
		if !until.IsZero() && time.Now().After(until) {
			break
		}
		k.kill(t, round)
		k.check(t, round)
		if t.Failed() {
			t.Fatalf("after round %d", round)
		}
	}
	t.Logf("%d events acknowledged", len(k.acked))
}

// A killed log is one whose writers come to a violent end.
type killed struct {
	dir   string
	rng   *rand.Rand
	acked map[uint64]ack // by sequence number
	sent  int            // events
}

// An ack is what a process said about an event before it was killed.
type ack struct {
	Seq    uint64 `json:"seq"`
	ID     string `json:"id"`
	Hash   string `json:"hash"`
	prompt string
}

// kill starts an import, kills it, and takes down what it acknowledged.
func (k *killed) kill(t *testing.T, round int) {
	t.Helper()
	cmd := exec.Command("audittrail", "--dir", k.dir, "import", "-o", "jsonl", "-")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	first := k.sent
	var feeder sync.WaitGroup
	feeder.Go(func() {
		w := bufio.NewWriterSize(in, 1<<k.rng.IntN(16)+16)
		for {
			k.sent++ // even if only a part of it arrives
			if _, err := w.WriteString(k.event(k.sent - 1)); err != nil {
				return // the process is gone
			}
		}
	})
	// The process takes some 10 ms to open the log.
	timer := time.AfterFunc(time.Duration(rand.Int64N(int64(150*time.Millisecond))), func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	receipts := bufio.NewReader(out)
	for n := first; ; n++ {
		line, err := receipts.ReadBytes('\n')
		if err != nil {
			if !errors.Is(err, io.EOF) {
				t.Error(err)
			}
			break // what has no line end was not said
		}
		var a ack
		if err := json.Unmarshal(line, &a); err != nil {
			t.Errorf("round %d: receipt %q: %v", round, line, err)
		}
		a.prompt = prompt(n)
		if old, ok := k.acked[a.Seq]; ok {
			t.Errorf("round %d: record %d was acknowledged before, for %s", round, a.Seq, old.prompt)
		}
		k.acked[a.Seq] = a
	}
	if err := cmd.Wait(); err == nil {
		t.Errorf("round %d: the process ended well", round)
	}
	feeder.Wait()
}

func prompt(n int) string { return fmt.Sprintf("event %d", n) }

func (k *killed) event(n int) string {
	return fmt.Sprintf(`{"type":"prompt","model_id":"gpt-4","user_id":"user-%d","prompt":"%s"}`+"\n", n%100+n/1000, prompt(n))
}

// check verifies the log after the process was killed, recovers it, and compares
// it with the acknowledged events and the events sent.
func (k *killed) check(t *testing.T, round int) {
	t.Helper()
	verify, stdout, stderr := newEnv(t, "--dir", k.dir, "verify")
	if got := verify.run(); got != exitOK && got != exitLimited {
		t.Errorf("round %d: verify after the kill: status %d, %s%s", round, got, stdout, stderr)
	}
	log, err := audittrail.Open(k.dir, audittrail.Options{})
	if err != nil {
		t.Fatalf("round %d: open after the kill: %v", round, err)
	}
	if err := log.Close(); err != nil {
		t.Errorf("round %d: close: %v", round, err)
	}
	if out := mustRun(t, "--dir", k.dir, "verify", "-o", "json"); out[:len(`{"valid":true`)] != `{"valid":true` {
		t.Errorf("round %d: verify: %s", round, out)
	}
	if log, err = audittrail.Open(k.dir, audittrail.Options{ReadOnly: true}); err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]bool)
	missing := len(k.acked)
	for r, err := range log.Records(t.Context(), 0, 1<<53-1) {
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		if r.Event.Type == event.LogRepaired {
			continue
		}
		n := -1
		if _, err := fmt.Sscanf(r.Event.Prompt, "event %d", &n); err != nil || n < 0 || n > k.sent || seen[r.Event.Prompt] {
			t.Errorf("round %d: record %d has %q, which was not sent, or is there twice", round, r.Seq, r.Event.Prompt)
		}
		seen[r.Event.Prompt] = true
		a, ok := k.acked[r.Seq]
		if !ok {
			continue
		}
		missing--
		if a.Hash != r.Hash.String() || a.ID != r.ID.String() || a.prompt != r.Event.Prompt {
			t.Errorf("round %d: record %d is %s %q, and was acknowledged as %s %q", round, r.Seq, r.Hash, r.Event.Prompt, a.Hash, a.prompt)
		}
	}
	if missing != 0 {
		t.Errorf("round %d: %d acknowledged records are gone", round, missing)
	}
	logtest.Close(t, log)
}
