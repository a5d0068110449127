// Package openlineage reads and writes OpenLineage run events, of the
// specification 2-0-2 (openlineage.io).
//
// A run is a training run, what it reads are datasets, what it writes datasets
// or, if they have the type MODEL, model versions. See
// docs/format/lineage-exchange.md.
package openlineage

import (
	"net/url"
	"regexp"
	"strconv"
	"time"

	"audittrail/lineage"
	"audittrail/lineage/exchange/document"
)

const (
	format    = "openlineage"      // under which things keep what there is no field for
	extension = "audittrail_thing" // the facet that has a thing whole
	producer  = "urn:audittrail:lineage"
	spec      = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/"
	facetSpec = "https://openlineage.io/spec/facets/"
)

// runPrefix begins the id of a run that has a UUID.
const runPrefix = string(lineage.KindRun) + ":"

// newestMajor is the major version of the specification that is known.
const newestMajor = 2

var versionOf = regexp.MustCompile(`/spec/(\d{1,4})-(\d{1,4})-(\d{1,4})/OpenLineage\.json`)

// checkVersion refuses events of a specification that is not known.
func checkVersion(r *document.Reader) {
	url := r.String("schemaURL")
	if url == "" {
		return // the first versions had none
	}
	m := versionOf.FindStringSubmatch(url)
	if m == nil {
		r.Fail("schemaURL", "the version of OpenLineage is missing; use a schema such as %sRunEvent", spec)
		return
	}
	if major, err := strconv.Atoi(m[1]); err != nil || major > newestMajor {
		r.Fail("schemaURL", "unknown version %s-%s-%s of OpenLineage; versions up to %d can be read", m[1], m[2], m[3], newestMajor)
	}
}

// facet makes a facet of the specification.
func facet(schema string, members document.Object) document.Object {
	return document.Overlay(document.Object{"_producer": producer, "_schemaURL": facetSpec + schema}, members)
}

func text(o document.Object, name string) string {
	s, _ := o[name].(string)
	return s
}

// entity is a dataset, a model version or a prompt template as OpenLineage has
// it, but for the extension.
func entity(t lineage.Entity) document.Object {
	fields, kept := document.Details(t), document.Kept(t, format)
	facets := document.Object{}
	if s := text(fields, "description"); s != "" {
		facets["documentation"] = facet("1-1-0/DocumentationDatasetFacet.json#/$defs/DocumentationDatasetFacet", document.Object{"description": s})
	}
	s := text(fields, "location")
	if u, err := url.Parse(s); err == nil && u.IsAbs() && u.String() == s {
		facets["dataSource"] = facet("1-0-1/DatasourceDatasetFacet.json#/$defs/DatasourceDatasetFacet", document.Object{"uri": s})
	}
	if s := text(fields, "owner"); s != "" {
		facets["ownership"] = facet("1-0-1/OwnershipDatasetFacet.json#/$defs/OwnershipDatasetFacet",
			document.Object{"owners": []any{document.Object{"name": s}}})
	}
	o := named(t)
	o["facets"] = document.Overlay(facets, inner(o, "facets"))
	if with := withoutExtension(document.Overlay(o, kept), "facets"); isEntity(with, o) {
		return with
	}
	return o
}

// occurrence is what a run says of an entity.
func occurrence(t lineage.Entity) document.Object {
	o, all, facets := entity(t), document.Object{}, document.Object{}
	all["namespace"], all["name"] = o["namespace"], o["name"]
	for name := range inner(named(t), "facets") {
		facets[name] = inner(o, "facets")[name]
	}
	all["facets"] = facets
	return all
}

// named is what an entity has to be told from others by.
func named(t lineage.Entity) document.Object {
	fields, kept := document.Details(t), document.Kept(t, format)
	o := document.Object{"namespace": "audittrail", "name": t.Identity()}
	if ns, name := text(kept, "namespace"), text(kept, "name"); name != "" {
		o["namespace"], o["name"] = ns, name
	}
	facets := document.Object{}
	if s := text(fields, "version"); s != "" {
		facets["version"] = facet("1-0-1/DatasetVersionDatasetFacet.json#/$defs/DatasetVersionDatasetFacet", document.Object{"datasetVersion": s})
	}
	if t.Kind() == lineage.KindModel {
		facets["datasetType"] = facet("1-0-0/DatasetTypeDatasetFacet.json#/$defs/DatasetTypeDatasetFacet", document.Object{"datasetType": "MODEL"})
	}
	o["facets"] = facets
	return o
}

func inner(o document.Object, name string) document.Object {
	in, _ := o[name].(document.Object)
	return in
}

// job is the job of a run, an evaluation or a deployment.
func job(t lineage.Entity) document.Object {
	fields := document.Details(t)
	facets := document.Object{}
	if s := text(fields, "description"); s != "" {
		facets["documentation"] = facet("1-1-0/DocumentationJobFacet.json#/$defs/DocumentationJobFacet", document.Object{"description": s})
	}
	if s := text(fields, "owner"); s != "" {
		facets["ownership"] = facet("1-0-1/OwnershipJobFacet.json#/$defs/OwnershipJobFacet",
			document.Object{"owners": []any{document.Object{"name": s}}})
	}
	return document.Object{"namespace": "audittrail", "name": t.Label(), "facets": facets}
}

// state is what an event says of a run, an evaluation or a deployment, but for
// the extension, the time, inputs and outputs.
func state(t lineage.Entity) document.Object {
	o := document.Object{"producer": producer, "job": job(t)}
	if t.Kind() == lineage.KindDeployment {
		o["schemaURL"] = spec + "JobEvent"
		return withKept(t, o)
	}
	fields := document.Details(t)
	facets := document.Object{}
	if p := parameters(inner(fields, "parameters")); len(p) > 0 {
		facets["jobRunParameters"] = facet("1-0-0/JobRunParametersFacet.json#/$defs/JobRunParametersFacet", document.Object{"parameters": p})
	}
	o["schemaURL"] = spec + "RunEvent"
	o["eventType"] = "COMPLETE"
	o["run"] = document.Object{"runId": runID(t), "facets": facets}
	return withKept(t, o)
}

// withKept adds to an event what a thing keeps of OpenLineage, unless it would
// be no such event then.
func withKept(t lineage.Entity, o document.Object) document.Object {
	kept := document.Without(document.Kept(t, format), "eventTime", "inputs", "outputs", "inputFacets", "outputFacets")
	with := withoutExtension(withoutExtension(document.Overlay(o, kept), "run", "facets"), "job", "facets")
	r := document.NewReader("", document.Overlay(with, document.Object{"eventTime": "2026-11-25"}))
	x := newReader(nil)
	x.event(r)
	if r.Err() != nil || len(x.keys) > 0 || (t.Kind() == lineage.KindDeployment) != (len(x.runs) == 0) {
		return o
	}
	if t.Kind() != lineage.KindDeployment && x.runs[runID(t)] == nil {
		return o
	}
	return with
}

// isEntity tells whether an entity is still what it was, with what is kept.
func isEntity(with, o document.Object) bool {
	r, before := document.NewReader("", with), document.NewReader("", o)
	x := newReader(nil)
	r.Inner("facets")
	return x.use(r, time.Time{}).key == x.use(before, time.Time{}).key && r.Err() == nil && before.Err() == nil
}
