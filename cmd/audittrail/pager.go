package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"syscall"
)

// errPagerLeft ends the output when the user leaves the pager.
var errPagerLeft = errors.New("the pager was left")

// paged calls show with the writer for its output: standard output, or a pager,
// if standard output is a terminal and the output is longer than one screen.
func (e *env) paged(off bool, show func(io.Writer) error) error {
	if off || !e.outTerminal || e.height == 0 || e.output != asTable {
		return show(e.stdout)
	}
	name := e.getenv("PAGER")
	if name == "" {
		name = "less"
	}
	p := &pager{e: e, command: strings.Fields(name), given: e.getenv("PAGER") != ""}
	err := show(p)
	if errors.Is(err, errPagerLeft) {
		err = nil
	}
	return errors.Join(err, p.close())
}

// A pager is a program that shows text one screen at a time. It is started when
// the output exceeds one screen.
type pager struct {
	e       *env
	command []string
	given   bool // the user named the program

	first bytes.Buffer // the output before the program was started
	in    io.WriteCloser
	cmd   *exec.Cmd
	plain bool // the program could not be started
}

// Write shows text.
func (p *pager) Write(text []byte) (int, error) {
	switch {
	case p.plain:
		return p.e.stdout.Write(text)
	case p.in != nil:
		return p.put(text)
	}
	p.first.Write(text)
	if bytes.Count(p.first.Bytes(), []byte("\n")) < p.e.height {
		return len(text), nil
	}
	if err := p.start(); err != nil {
		if p.given {
			p.e.note("run $PAGER: %v; the output is shown without a pager", err)
		}
		p.plain = true
		_, err := p.first.WriteTo(p.e.stdout)
		return len(text), err
	}
	if _, err := p.put(p.first.Bytes()); err != nil {
		return 0, err
	}
	return len(text), nil
}

// put writes text to the pager.
func (p *pager) put(text []byte) (int, error) {
	n, err := p.in.Write(text)
	if errors.Is(err, syscall.EPIPE) || errors.Is(err, io.ErrClosedPipe) {
		err = errPagerLeft
	}
	return n, err
}

func (p *pager) start() error {
	if len(p.command) == 0 {
		return errors.New("the variable names no program")
	}
	p.cmd = exec.Command(p.command[0], p.command[1:]...)
	p.cmd.Stdout, p.cmd.Stderr = p.e.stdout, p.e.stderr
	if p.e.getenv("LESS") == "" {
		p.cmd.Env = append(p.cmd.Environ(), "LESS=FRX") // show colours, and leave the text on the screen
	}
	in, err := p.cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := p.cmd.Start(); err != nil {
		return err
	}
	p.in = in
	return nil
}

// close waits until the user leaves the pager.
func (p *pager) close() error {
	if p.in == nil {
		_, err := p.first.WriteTo(p.e.stdout)
		return err
	}
	if err := errors.Join(ignoreLeft(p.in.Close()), p.cmd.Wait()); err != nil {
		return fmt.Errorf("run the pager %s: %w; --no-pager shows the output without a pager", p.command[0], err)
	}
	return nil
}

func ignoreLeft(err error) error {
	if errors.Is(err, syscall.EPIPE) {
		return nil
	}
	return err
}
