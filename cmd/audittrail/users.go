package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"audittrail/cmd/audittrail/internal/display"
	"audittrail/event"
	"audittrail/service"
)

// A userList is the users whom a command concerns.
type userList struct {
	ids   []string
	lines []int // the line of each user in the file; nil without a file
}

const maxUsersFile = 256 << 20

// readUsers reads a file of user ids, one per line. Blanks within a line are part
// of the id.
func (e *env) readUsers(name string, limit int) (*userList, error) {
	text, err := e.readInput(name, maxUsersFile)
	if err != nil {
		return nil, err
	}
	if bytes.HasPrefix(text, []byte("\xff\xfe")) || bytes.HasPrefix(text, []byte("\xfe\xff")) || bytes.IndexByte(text, 0) >= 0 {
		return nil, fmt.Errorf("read %s: the file is not UTF-8 text; save it as UTF-8", inputName(name))
	}
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf")) // some editors write a byte order mark
	users := new(userList)
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, event.MaxPerson+2)
	for n := 1; lines.Scan(); n++ {
		user := strings.TrimSuffix(lines.Text(), "\r")
		if user == "" {
			continue
		}
		if len(user) > event.MaxPerson {
			return nil, fmt.Errorf("read %s: line %d has more than %d bytes, which no user id has", inputName(name), n, event.MaxPerson)
		}
		if !utf8.ValidString(user) {
			return nil, fmt.Errorf("read %s: line %d is not valid UTF-8; save the file as UTF-8", inputName(name), n)
		}
		users.ids, users.lines = append(users.ids, user), append(users.lines, n)
		if len(users.ids) > limit {
			return nil, fmt.Errorf("read %s: the file has more than %s; split it", inputName(name), display.Count(limit, "user", "users"))
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read %s: a line is longer than any user id", inputName(name))
	}
	if len(users.ids) == 0 {
		return nil, fmt.Errorf("read %s: the file names no user; write one per line", inputName(name))
	}
	return users, nil
}

// usersOf returns the users of a command that takes one, or a file of many.
func (e *env) usersOf(cmd *cobra.Command, one *userArgs, file string, args []string) (*userList, error) {
	if file == "" {
		user, err := one.one(e, cmd, args)
		return &userList{ids: []string{user}}, err
	}
	if len(args) > 0 || one.file != "" {
		return nil, fmt.Errorf("%s: give one user, or --file with many", nameOf(cmd))
	}
	users, err := e.readUsers(file, maxUsers)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", nameOf(cmd), err)
	}
	return users, nil
}

// A lookup is what the log knows of the users whom a command concerns.
type lookup struct {
	*userList
	near    []int // of each: the number of known users with a similar id
	missing []int // indexes of users about whom nothing is stored, in order
}

// lookupOf combines users with what the log knows of them.
func lookupOf(users *userList, found []service.Lookup) *lookup {
	l := &lookup{userList: users, near: make([]int, len(found))}
	for i, f := range found {
		l.near[i] = f.Near
		if !f.Known {
			l.missing = append(l.missing, i)
		}
	}
	return l
}

// nearTotal returns how many known users have an id similar to one of the list.
func (l *lookup) nearTotal() int {
	n := 0
	for _, i := range l.near {
		n += i
	}
	return n
}

// nearText says how many users have a similar id, without naming them.
func nearText(n int) string {
	return display.Count(n, "known user differs", "known users differ") + " only in case, blanks or accents"
}

// maxListed is how many lines a message lists.
const maxListed = 20

// noteLookup lists the users that were not found, by their lines in the file, and
// counts known users with a similar id. It never names anybody.
func (e *env) noteLookup(l *lookup) {
	if l.lines == nil {
		if len(l.missing) > 0 {
			text := service.ErrNothingStored.Error()
			if l.near[0] > 0 {
				text += "; " + nearText(l.near[0])
			}
			e.note("%s", text)
		} else if l.near[0] > 0 {
			e.note("%s from that user, and nothing was done about them", nearText(l.near[0]))
		}
		return
	}
	for n, i := range l.missing {
		if n == maxListed {
			e.note("not found: and %s more; --dry-run -o json lists all", display.Number(len(l.missing)-n))
			break
		}
		text := ""
		if l.near[i] > 0 {
			text = ": " + nearText(l.near[i])
		}
		e.note("not found: the user in line %d%s", l.lines[i], text)
	}
	missing := map[int]bool{}
	for _, i := range l.missing {
		missing[i] = true
	}
	others := 0
	for i, n := range l.near {
		if !missing[i] {
			others += n
		}
	}
	if others > 0 {
		e.note("of those found: %s, and nothing was done about them unless they are in the file, too", nearText(others))
	}
}

// noteNear counts the users with an id similar to that of one user, for a command
// that accepts an unknown user.
func (e *env) noteNear(found service.Lookup) {
	e.noteLookup(lookupOf(&userList{ids: []string{found.User}}, []service.Lookup{found}))
}

// flagged names the flag in the error of a request that lacks something.
func flagged(err error) error {
	switch {
	case errors.Is(err, service.ErrApprovalNeeded):
		return fmt.Errorf("%w with --approval", err)
	case errors.Is(err, service.ErrReasonMentionsUser):
		return fmt.Errorf("%w, or give --force", err)
	}
	return err
}

const forceUsage = "accept a reason although it names the user"
