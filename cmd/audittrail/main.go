// Command audittrail is a flight recorder for AI systems on the command line.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"
	_ "time/tzdata" // for --zone, also where the system has no time zones

	"golang.org/x/term"
)

func main() { os.Exit(process()) }

// process runs the command line of this process. No other function of the
// program accesses the process.
func process() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second interrupt ends it at once
	// If the reader of the output closes it, writing fails, but the program must
	// not end: it still records how much was shown.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	e := &env{
		ctx: ctx, args: os.Args[1:], stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr,
		getenv: os.Getenv, lookupEnv: os.LookupEnv, now: time.Now,
		inTerminal:  term.IsTerminal(int(os.Stdin.Fd())),
		outTerminal: term.IsTerminal(int(os.Stdout.Fd())),
		errTerminal: term.IsTerminal(int(os.Stderr.Fd())),
	}
	if e.outTerminal {
		if width, height, err := term.GetSize(int(os.Stdout.Fd())); err == nil {
			e.width, e.height = width, height
		}
	}
	return e.run()
}
