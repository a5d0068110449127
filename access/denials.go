package access

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"audittrail"
	"audittrail/event"
)

const (
	// denialWindow is how long denials of a kind are counted before they are
	// recorded again.
	denialWindow = time.Minute
	// maxDenials bounds the kinds that are told apart at a time.
	maxDenials = 1024
)

// A denialKind identifies the denials that are counted together: those of one
// grant and permission. All attempts with texts that are not the token of a
// grant are of one kind, since their number has no limit.
type denialKind struct {
	id         ID
	permission Permission
	reason     Reason
}

type denialCount struct {
	user        string
	first, last time.Time
	count       int64
	told        time.Time // when the kind was last recorded
}

// denials records the first denial of a kind at once, and further ones as a
// count. Recording does not delay the check.
type denials struct {
	c    *Controller
	wake chan struct{}
	quit chan struct{}
	done sync.WaitGroup

	mu     sync.Mutex // guards counts
	counts map[denialKind]*denialCount
}

func (d *denials) start(_ context.Context, c *Controller) {
	d.c, d.counts = c, map[denialKind]*denialCount{}
	d.wake, d.quit = make(chan struct{}, 1), make(chan struct{})
	d.done.Go(d.loop)
}

func (d *denials) close() error {
	close(d.quit)
	d.done.Wait()
	return d.record(true)
}

func (d *denials) add(decision *Decision, now time.Time) {
	k := denialKind{reason: decision.Reason}
	if decision.Permission.bit() != 0 { // otherwise it is an invented permission
		k.permission = decision.Permission
	}
	user := ""
	if g := decision.Grant; g != nil {
		k.id, user = g.ID, g.User
	}
	d.mu.Lock()
	n := d.counts[k]
	if n == nil && len(d.counts) >= maxDenials {
		k, user = denialKind{reason: "various"}, ""
		n = d.counts[k]
	}
	if n == nil {
		n = &denialCount{user: user}
		d.counts[k] = n
	}
	if n.count == 0 {
		n.first = now
	}
	n.count++
	n.last = now
	fresh := n.told.IsZero()
	d.mu.Unlock()
	if fresh {
		select {
		case d.wake <- struct{}{}:
		default:
		}
	}
}

func (d *denials) loop() {
	tick := time.NewTicker(denialWindow)
	defer tick.Stop()
	for {
		select {
		case <-d.quit:
			return
		case <-d.wake:
		case <-tick.C:
		}
		if err := d.record(false); err != nil {
			d.c.o.Logger.Error("record denials", slog.Any("error", err))
		}
	}
}

// denialRecord is the member "denial" of an access_denied event.
type denialRecord struct {
	Token      string     `json:"token,omitempty"` // its id
	Permission Permission `json:"permission,omitempty"`
	Reason     Reason     `json:"reason"`
	Count      int64      `json:"count"`
	First      time.Time  `json:"first"`
	Last       time.Time  `json:"last"`
}

// record writes the records that are due: of new kinds, of those whose window
// is over, or, if all is set, of every kind.
func (d *denials) record(all bool) error {
	now := d.c.now()
	var due []event.Event
	d.mu.Lock()
	for k, n := range d.counts {
		over := now.Sub(n.told) >= denialWindow
		switch {
		case n.count == 0 && over:
			delete(d.counts, k)
		case n.count > 0 && (over || all):
			r := denialRecord{Permission: k.permission, Reason: k.reason, Count: n.count, First: n.first.UTC(), Last: n.last.UTC()}
			if k.id != (ID{}) {
				r.Token = k.id.String()
			}
			m, err := member("denial", r)
			if err != nil {
				d.mu.Unlock()
				return err
			}
			due = append(due, event.Event{
				Type: event.AccessDenied, Time: n.last, UserID: n.user, Category: string(k.permission), Metadata: m,
			})
			n.count, n.told = 0, now
		}
	}
	d.mu.Unlock()
	for _, e := range due {
		_, err := d.c.log.AppendGovernance(context.Background(), e)
		if errors.Is(err, audittrail.ErrReadOnly) {
			return nil // the process that writes the log does not see our denials
		}
		if err != nil {
			return err
		}
	}
	return nil
}
