package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"audittrail"
	"audittrail/event"
	"audittrail/internal/logtest"
)

// newEnv is a process that runs in this one.
func newEnv(t *testing.T, args ...string) (e *env, stdout, stderr *bytes.Buffer) {
	t.Helper()
	stdout, stderr = new(bytes.Buffer), new(bytes.Buffer)
	return &env{
		ctx: t.Context(), args: args, stdin: strings.NewReader(""), stdout: stdout, stderr: stderr,
		getenv: func(string) string { return "" }, now: time.Now,
	}, stdout, stderr
}

// mustRun runs a command, which must succeed, and returns what it printed.
func mustRun(t *testing.T, args ...string) string {
	t.Helper()
	e, stdout, stderr := newEnv(t, args...)
	if status := e.run(); status != exitOK {
		t.Fatalf("audittrail %s: exit status %d, %s", strings.Join(args, " "), status, stderr)
	}
	return stdout.String()
}

// TestTailFollows checks that tail -f prints what others record while it runs,
// and ends without an error when it is interrupted.
func TestTailFollows(t *testing.T) {
	dir := t.TempDir()
	mustRun(t, "--dir", dir, "log", "-t", "prompt", "-p", "before")
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	follow, _, stderr := newEnv(t, "--dir", dir, "tail", "-n", "1", "-f", "-o", "csv")
	follow.ctx = ctx
	out, in := io.Pipe()
	follow.stdout = in
	status := make(chan int)
	go func() {
		status <- follow.run()
		_ = in.Close()
	}()
	lines := bufio.NewScanner(out)
	next := func(want string) {
		t.Helper()
		if !lines.Scan() || !strings.HasSuffix(lines.Text(), want) {
			t.Fatalf("tail -f printed %q, want %q at its end", lines.Text(), want)
		}
	}
	next("content")
	next("before")
	for i := range 3 {
		text := fmt.Sprintf("number %d", i)
		mustRun(t, "--dir", dir, "log", "-t", "prompt", "-p", text)
		next(text)
	}
	interrupt()
	if got := <-status; got != exitOK || stderr.Len() > 0 {
		t.Errorf("an interrupted tail -f ends with status %d, %s; want 0 and nothing", got, stderr)
	}
}

// TestImportAnswersAtOnce checks that on a pipe a line is answered without
// waiting for the next one.
func TestImportAnswersAtOnce(t *testing.T) {
	dir := t.TempDir()
	mustRun(t, "--dir", dir, "init")
	pipe, _, stderr := newEnv(t, "--dir", dir, "import", "-o", "jsonl", "-")
	lines, in := io.Pipe()
	out, receipts := io.Pipe()
	pipe.stdin, pipe.stdout = lines, receipts
	status := make(chan int)
	go func() {
		status <- pipe.run()
		_ = receipts.Close()
	}()
	answers := bufio.NewScanner(out)
	slowest := time.Duration(0)
	for i := range 50 {
		began := time.Now()
		if _, err := fmt.Fprintf(in, `{"type":"prompt","prompt":"%d"}`+"\n", i); err != nil {
			t.Fatal(err)
		}
		if !answers.Scan() {
			t.Fatalf("no answer to line %d: %s", i, stderr)
		}
		slowest = max(slowest, time.Since(began))
		if want := fmt.Sprintf(`{"seq":%d,`, i); !strings.HasPrefix(answers.Text(), want) {
			t.Errorf("the answer to line %d is %s", i, answers.Text())
		}
	}
	t.Logf("the slowest answer took %v", slowest)
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	if got := <-status; got != exitOK {
		t.Errorf("import ends with status %d, %s", got, stderr)
	}
}

// TestImportInterrupted checks that what was read before an interruption is
// recorded, that the message says so, and that running it again completes it.
func TestImportInterrupted(t *testing.T) {
	dir := t.TempDir()
	mustRun(t, "--dir", dir, "init")
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	e, _, stderr := newEnv(t, "--dir", dir, "import", "--source", "feed", "-o", "jsonl", "-")
	e.ctx = ctx
	lines, in := io.Pipe()
	out, receipts := io.Pipe()
	e.stdin, e.stdout = lines, receipts
	status := make(chan int)
	go func() {
		status <- e.run()
		_ = receipts.Close()
	}()
	const text = `{"type":"prompt","prompt":"one"}` + "\n"
	if _, err := io.WriteString(in, text); err != nil {
		t.Fatal(err)
	}
	if !bufio.NewScanner(out).Scan() {
		t.Fatalf("no answer: %s", stderr)
	}
	interrupt()
	if got := <-status; got != exitFailed {
		t.Errorf("an interrupted import ends with status %d, want 1", got)
	}
	_ = in.Close()
	const want = "audittrail: import standard input: interrupted; 1 event was recorded; run the import again: nothing is recorded twice\n"
	if got := stderr.String(); got != want {
		t.Errorf("it says %q, want %q", got, want)
	}
	again, stdout, stderr := newEnv(t, "--dir", dir, "import", "--source", "feed", "-o", "json", "-")
	again.stdin = strings.NewReader(text + text)
	if got := again.run(); got != exitOK {
		t.Fatalf("run again: status %d, %s", got, stderr)
	}
	if !strings.HasPrefix(stdout.String(), `{"recorded":1,"duplicates":1,`) {
		t.Errorf("run again: %s, want one recorded and one there already", stdout)
	}
}

// TestSecondWriter checks that a second writer is told who the first one is,
// and that readers are not held up.
func TestSecondWriter(t *testing.T) {
	dir := t.TempDir()
	mustRun(t, "--dir", dir, "log", "-t", "prompt", "-p", "before")
	writer := logtest.Open(t, dir, audittrail.Options{})
	second, _, stderr := newEnv(t, "--dir", dir, "log", "-t", "prompt")
	if got := second.run(); got != exitFailed {
		t.Errorf("a second writer ends with status %d, want 1", got)
	}
	if want := fmt.Sprintf("held by pid %d", os.Getpid()); !strings.Contains(stderr.String(), want) {
		t.Errorf("a second writer is told %q, want %q in it", stderr, want)
	}
	logtest.Append(t, writer, event.Event{Type: event.Prompt, Prompt: "meanwhile"})
	if out := mustRun(t, "--dir", dir, "show", "1"); !strings.Contains(out, "meanwhile") {
		t.Errorf("show beside the writer prints %s", out)
	}
	mustRun(t, "--dir", dir, "verify")
	doctor, stdout, _ := newEnv(t, "--dir", dir, "doctor")
	if got := doctor.run(); got != exitLimited { // the master key is stored with the data
		t.Errorf("doctor beside the writer: status %d, %s", got, stdout)
	}
	if want := fmt.Sprintf("pid %d", os.Getpid()); !strings.Contains(stdout.String(), want) {
		t.Errorf("doctor says %s, want %q in it", stdout, want)
	}
}

// TestBurst has many commands record at once: each waits for its turn.
func TestBurst(t *testing.T) {
	dir := t.TempDir()
	const many = 40
	failed := make(chan string, many)
	for i := range many {
		e, _, stderr := newEnv(t, "--dir", dir, "log", "-t", "prompt", "-p", fmt.Sprint(i))
		go func() {
			status := e.run()
			if status == exitOK {
				failed <- ""
				return
			}
			failed <- fmt.Sprintf("status %d: %s", status, stderr)
		}()
	}
	for range many {
		if why := <-failed; why != "" {
			t.Error(why)
		}
	}
	if got := mustRun(t, "--dir", dir, "query", "--count-only"); got != fmt.Sprintln(many) {
		t.Errorf("%s records of %d", got, many)
	}
}

// fullDisk is an output that takes nothing.
type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

// TestReceiptNotWritten records once, and says so, where the receipt goes to a
// disk that is full.
func TestReceiptNotWritten(t *testing.T) {
	dir := t.TempDir()
	e, _, stderr := newEnv(t, "--dir", dir, "log", "-t", "prompt", "-p", "once")
	e.stdout = fullDisk{}
	if status := e.run(); status != exitOK || !strings.Contains(stderr.String(), "warning: the event is recorded and durable, as record 0, id ") {
		t.Errorf("log ends with status %d, %s; want 0 and a warning with the receipt", status, stderr)
	}
	if got := mustRun(t, "--dir", dir, "query", "--count-only"); got != "1\n" {
		t.Errorf("%s records, want 1", got)
	}
}
