package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"audittrail/cmd/audittrail/internal/display"
	"audittrail/lineage"
	"audittrail/record"
	"audittrail/service"
)

const thingArg = "ENTITY"

const thingHelp = `

Name an entity by its id or by NAME@VERSION, or by NAME alone if that has only
one version.`

func (e *env) lineageShowCmd() *cobra.Command {
	var up, down bool
	var depth int
	var draw lineageDrawing
	cmd := &cobra.Command{
		Use:   "show " + thingArg,
		Short: "Show one entity, or what is upstream or downstream of it",
		Long: `Show prints one registered entity with its direct links. With --up it lists
instead the entities upstream of it, its direct and indirect inputs, and with
--down those downstream, the nearest first; --depth bounds the number of links.

With --show-dag or --format it draws these entities; without --up and --down,
both sides.` + thingHelp + exits(ends0, ends1, ends2, ends4),
		Example: `  audittrail lineage show tickets@2026-10
  audittrail lineage show bot@3 --up
  audittrail lineage show tickets@2026-10 --down --depth 2 -o json
  audittrail lineage show bot@3 --up --show-dag`,
		Args: takes(thingArg),
		RunE: func(cmd *cobra.Command, args []string) error {
			limited := cmd.Flags().Changed("depth")
			switch {
			case limited && depth < 1:
				return fmt.Errorf("lineage show: read --depth: invalid depth %d: use 1 or more", depth)
			case limited && !up && !down && !draw.asked():
				return errors.New("lineage show: --depth needs --up, --down or a drawing: give one of these flags, too")
			}
			if err := draw.check(); err != nil {
				return err
			}
			return e.readLineage(service.LineageRequest{}, func(l *service.Lineage) error {
				g := l.Graph
				n, err := g.FindOne(args[0])
				if err != nil {
					return fmt.Errorf("lineage show: %w", err)
				}
				switch {
				case draw.asked():
					return e.drawPart(l.Origin, g, n, walkOf(up, down), depth, draw)
				case up || down:
					return e.lineageWalk(g, n, up, down, depth)
				}
				return e.showThing(g, n)
			})
		},
	}
	f := cmd.Flags()
	f.BoolVar(&up, "up", false, "list the entities upstream of it")
	f.BoolVar(&down, "down", false, "list the entities downstream of it")
	f.IntVar(&depth, "depth", 0, "maximum distance in `links` (default unlimited)")
	draw.flags(cmd)
	return cmd
}

// A thingJSON is an entity in JSON.
type thingJSON struct {
	ID         string          `json:"id"`
	Kind       lineage.Kind    `json:"kind"`
	Seq        uint64          `json:"seq"`
	Hash       record.Hash     `json:"hash"`
	Registered time.Time       `json:"registered"`
	Retired    *retiredJSON    `json:"retired"`
	Thing      json.RawMessage `json:"thing"`
	Up         []linkJSON      `json:"up"`
	Down       []linkJSON      `json:"down"`
}

type retiredJSON struct {
	At         time.Time                  `json:"at"`
	Reason     string                     `json:"reason,omitempty"`
	Attributes map[string]json.RawMessage `json:"attributes,omitempty"`
}

// A linkJSON is a link to another entity: the upstream end has the Role for the
// downstream end.
type linkJSON struct {
	ID   string       `json:"id"`
	Kind lineage.Kind `json:"kind"`
	Role string       `json:"role"`
}

// mostLinks is how many links of an entity are listed on a terminal.
const mostLinks = 20

func (e *env) showThing(g *lineage.Graph, n *lineage.Node) error {
	t := thingJSON{
		ID: n.ID, Kind: n.Kind, Seq: n.Seq, Hash: n.Hash, Registered: n.Registered.UTC(), Thing: lineage.Encode(n.Entity),
		Up: []linkJSON{}, Down: []linkJSON{},
	}
	for edge := range g.Upstream(n) {
		t.Up = append(t.Up, linkJSON{edge.From.ID, edge.From.Kind, edge.Role})
	}
	for edge := range g.Downstream(n) {
		t.Down = append(t.Down, linkJSON{edge.To.ID, edge.To.Kind, edge.Role})
	}
	var s sheetBuilder
	s.add("kind", kindNames[n.Kind].one)
	if err := thingFields(&s, n, t.Thing); err != nil {
		return err
	}
	if r := n.Retired; r != nil {
		t.Retired = &retiredJSON{At: r.At.UTC(), Reason: r.Reason, Attributes: r.Attributes}
		s.add("retired", display.Time(r.At))
		s.add("reason", r.Reason)
	}
	for i, l := range t.Down[:min(len(t.Down), mostLinks)] {
		name := ""
		if i == 0 {
			name = "went into"
		}
		s.fields = append(s.fields, field{name, fmt.Sprintf("%s (%s)", l.ID, l.Role)})
	}
	if more := len(t.Down) - mostLinks; more > 0 {
		s.fields = append(s.fields, field{"", "and " + display.Number(more) + " more: --down lists all"})
	}
	s.add("registered", display.Time(n.Registered))
	s.add("record", strconv.FormatUint(n.Seq, 10))
	s.add("hash", n.Hash.String())
	return e.sheet(t, s.fields)
}

// thingFields adds the fields of an entity, in the order of the flags of lineage
// add.
func thingFields(s *sheetBuilder, n *lineage.Node, encoded []byte) error {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(encoded, &members); err != nil {
		return err
	}
	types := map[string]lineage.FieldType{}
	for _, f := range lineage.Fields(n.Kind) {
		types[f.Name] = f.Type
	}
	for _, u := range thingUsage {
		raw, ok := members[u.field]
		if !ok {
			continue
		}
		name := strings.ReplaceAll(u.field, "_", " ")
		switch types[u.field] {
		case lineage.TypeIDs:
			var ids []string
			if err := json.Unmarshal(raw, &ids); err != nil {
				return err
			}
			for i, id := range ids[:min(len(ids), mostLinks)] {
				if i > 0 {
					name = ""
				}
				s.fields = append(s.fields, field{name, id})
			}
			if more := len(ids) - mostLinks; more > 0 {
				s.fields = append(s.fields, field{"", "and " + display.Number(more) + " more: --up lists all"})
			}
		case lineage.TypeValues:
			var pairs map[string]json.RawMessage
			if err := json.Unmarshal(raw, &pairs); err != nil {
				return err
			}
			for _, k := range slices.Sorted(maps.Keys(pairs)) {
				s.add(strings.TrimSuffix(name, "s")+" "+k, plain(pairs[k]))
			}
		case lineage.TypeTime:
			var at time.Time
			if err := json.Unmarshal(raw, &at); err != nil {
				return err
			}
			s.add(name, display.Time(at))
		case lineage.TypeBool:
			s.add(name, map[string]string{"true": "yes", "false": "no"}[string(raw)])
		default:
			s.add(name, plain(raw))
		}
	}
	return nil
}

// A reachJSON is an entity that a walk reached.
type reachJSON struct {
	ID    string       `json:"id"`
	Kind  lineage.Kind `json:"kind"`
	Depth int          `json:"depth"`
	Up    bool         `json:"up"`
	Role  string       `json:"role"`
	To    string       `json:"to"` // the entity at the nearer end of the link
}

// lineageWalk lists the entities upstream or downstream of an entity.
func (e *env) lineageWalk(g *lineage.Graph, n *lineage.Node, up, down bool, depth int) error {
	var all []reachJSON
	if up {
		all = append(all, reaches(g, n, lineage.Upstream, depth)...)
	}
	if down {
		all = append(all, reaches(g, n, lineage.Downstream, depth)...)
	}
	columns := []column{{name: "depth", width: 5, right: true}, {name: "kind", width: 10}, {name: "id", width: 24}, {name: "role", width: 30}}
	for _, r := range all {
		columns[2].width = min(max(columns[2].width, display.Columns(r.ID)), 40)
	}
	return e.list(columns, func(yield func(row, error) bool) {
		for _, r := range all {
			role := r.Role + " of " + r.To
			if !r.Up {
				role = r.To + " is its " + r.Role
			}
			if !yield(row{[]string{strconv.Itoa(r.Depth), string(r.Kind), r.ID, role}, r}, nil) {
				return
			}
		}
	})
}

// reaches returns the entities that a walk reaches, without the one from which
// it starts, each with a link by which it is reached.
func reaches(g *lineage.Graph, n *lineage.Node, dir lineage.Direction, depth int) []reachJSON {
	at := map[*lineage.Node]int{}
	var out []reachJSON
	for _, r := range g.Walk([]*lineage.Node{n}, dir, depth) {
		at[r.Node] = r.Depth
		if r.Depth == 0 {
			continue
		}
		found := reachJSON{ID: r.ID, Kind: r.Kind, Depth: r.Depth, Up: dir == lineage.Upstream}
		nearer := func(other *lineage.Node, role string) bool {
			d, seen := at[other]
			if seen && d == r.Depth-1 {
				found.Role, found.To = role, other.ID
				return true
			}
			return false
		}
		if found.Up {
			for edge := range g.Downstream(r.Node) {
				if nearer(edge.To, edge.Role) {
					break
				}
			}
		} else {
			for edge := range g.Upstream(r.Node) {
				if nearer(edge.From, edge.Role) {
					break
				}
			}
		}
		out = append(out, found)
	}
	return out
}

func (e *env) lineagePathCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "path A B",
		Short: "Show the links from one entity to another",
		Long: `Path lists the links of a shortest path from one entity to another, in the
direction from inputs to outputs. If A is downstream of B, it lists the path
from B to A.` + thingHelp + exits(ends0, "1  failure, or there is no path between the two", ends2, ends4),
		Example: "  audittrail lineage path tickets@2026-10 prod-7",
		Args:    takes("A", "B"),
		RunE: func(_ *cobra.Command, args []string) error {
			return e.readLineage(service.LineageRequest{}, func(l *service.Lineage) error {
				if err := e.lineagePath(l.Graph, args[0], args[1]); err != nil {
					return fmt.Errorf("lineage path: %w", err)
				}
				return nil
			})
		},
	}
}

func (e *env) lineagePath(g *lineage.Graph, a, b string) error {
	from, err := g.FindOne(a)
	if err != nil {
		return err
	}
	to, err := g.FindOne(b)
	if err != nil {
		return err
	}
	if from == to {
		return fmt.Errorf("both names are of the same entity, %s; name two different ones", from.ID)
	}
	path := g.Path(from, to)
	if path == nil {
		if path = g.Path(to, from); path == nil {
			return fmt.Errorf("no path between %s and %s, in either direction", from.ID, to.ID)
		}
		e.note("the path is in the other direction: %[2]s is downstream of %[1]s", to.ID, from.ID)
	}
	type step struct {
		From string `json:"from"`
		Role string `json:"role"`
		To   string `json:"to"`
	}
	columns := []column{{name: "from", width: 20}, {name: "is its", width: 8}, {name: "to", width: 30}}
	for _, edge := range path {
		columns[0].width = min(max(columns[0].width, display.Columns(edge.From.ID)), 40)
	}
	return e.list(columns, func(yield func(row, error) bool) {
		for _, edge := range path {
			s := step{edge.From.ID, edge.Role, edge.To.ID}
			if !yield(row{[]string{s.From, s.Role, s.To}, s}, nil) {
				return
			}
		}
	})
}
