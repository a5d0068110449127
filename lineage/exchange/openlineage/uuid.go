package openlineage

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"regexp"
	"slices"
	"strings"

	"audittrail/lineage"
	"audittrail/lineage/exchange/document"
)

// runDomain precedes the id whose hash is a run's UUID.
const runDomain = "audittrail/v1 lineage openlineage run\x00"

var uuid = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)

// runID is the UUID of a run: the one that its id has, or else one of version 8
// (RFC 9562) that is made of its id.
func runID(t lineage.Entity) string {
	if id := strings.TrimPrefix(t.Identity(), runPrefix); uuid.MatchString(id) {
		return id
	}
	sum := sha256.Sum256([]byte(runDomain + t.Identity()))
	sum[6], sum[8] = sum[6]&0x0f|0x80, sum[8]&0x3f|0x80
	h := hex.EncodeToString(sum[:16])
	return strings.Join([]string{h[:8], h[8:12], h[12:16], h[16:20], h[20:]}, "-")
}

// parameters are those of a run as the facet jobRunParameters has them.
func parameters(values document.Object) []any {
	var all []any
	for _, key := range slices.Sorted(maps.Keys(values)) {
		all = append(all, document.Object{"key": key, "value": values[key]})
	}
	return all
}
