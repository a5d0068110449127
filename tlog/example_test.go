package tlog_test

import (
	"crypto/sha256"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"audittrail/tlog"
)

// A stranger who has the log's verifier key, a record's hash and a proof needs
// nothing else to know that the record is in the log.
func ExampleCheckProof() {
	proof, err := os.ReadFile(filepath.Join(vectors, "proof-41-of-300.tlog-proof"))
	if err != nil {
		log.Fatal(err)
	}
	const vkey = "audittrail/test+588b3f3e+Ad1Vwd7p1/GjTcdtfPsrvPP1Srva7wXvNq4/4xgum8G/"
	entry := sha256.Sum256([]byte("41"))
	p, err := tlog.CheckProof([]string{vkey}, entry, proof)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("entry %d of %d in %s\n", p.Index, p.Checkpoint.Size, p.Checkpoint.Origin)
	// Output: entry 41 of 300 in audittrail/test
}

// Runs of leaves are hashed in parallel, and put together in order.
func ExampleRange_AppendSubtree() {
	leaves := make([]tlog.Hash, 1000)
	for i := range leaves {
		leaves[i] = tlog.LeafHash(entry(i))
	}
	const level = 8
	roots := make(chan tlog.Hash, len(leaves)>>level)
	for chunk := range cap(roots) {
		roots <- tlog.RootOf(leaves[chunk<<level : (chunk+1)<<level])
	}
	close(roots)

	var r tlog.Range
	for h := range roots {
		r.AppendSubtree(level, h, nil)
	}
	for _, h := range leaves[r.Size():] {
		r.Append(h, nil)
	}
	fmt.Println(r.Size(), r.Root() == tlog.RootOf(leaves))
	// Output: 1000 true
}

// A verifier who once wrote down the log's first key learns which keys to trust
// today.
func ExampleResolveSigner() {
	rotation, err := os.ReadFile(filepath.Join(vectors, "rotation"))
	if err != nil {
		log.Fatal(err)
	}
	const first = "audittrail/test+588b3f3e+Ad1Vwd7p1/GjTcdtfPsrvPP1Srva7wXvNq4/4xgum8G/"
	eras, err := tlog.ResolveSigner(first, [][]byte{rotation})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(eras.Keys(299)), len(eras.Keys(300)), len(eras.Keys(301)))
	fmt.Println(eras[0].VKey == first, eras[1].From)
	// Output:
	// 1 2 1
	// true 300
}
