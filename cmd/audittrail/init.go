package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"audittrail"
)

func (e *env) initCmd() *cobra.Command {
	var origin string
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Create a new log",
		Long: `Init creates a new log with its keyring. A log has a permanent name, its origin,
which every checkpoint of the log contains. Keep the verifier key that init
prints outside this machine: with it, anybody can verify the log's checkpoints
and proofs.

The master key, a file in the keyring's folder, decrypts everything. Move it to
another disk than the log's, to a key store, or into the environment: see
--master.` +
			exits(ends0, "1  failure, or there is a log already"),
		Example: "  audittrail init --dir /var/lib/audit --origin example.com/assistant",
		Args:    takes(),
		GroupID: groupRecord,
		RunE:    func(*cobra.Command, []string) error { return e.init(origin) },
	}
	cmd.Flags().StringVar(&origin, "origin", "", "permanent `name` of the log, such as example.com/assistant (default audittrail/ and a random number)")
	return cmd
}

func (e *env) init(origin string) error {
	log, err := e.openToWrite()
	if err == nil {
		return errors.Join(fmt.Errorf("create a log in %s: there is a log already; record in it, or name another folder with --dir", e.logDir()), e.close(log))
	}
	if !absent(err) {
		return fmt.Errorf("create a log in %s: %w", e.logDir(), err)
	}
	create := func() (*audittrail.Log, error) { return e.create(origin) }
	return e.with(create, func(log *audittrail.Log) error {
		keys, err := log.Keys()
		if err != nil {
			return err
		}
		made := struct {
			Origin string `json:"origin"`
			VKey   string `json:"vkey"`
			Dir    string `json:"dir"`
			Keys   string `json:"keys"`
		}{log.Origin(), keys[len(keys)-1].VKey, e.logDir(), e.keysDir()}
		e.noteMaster()
		return e.sheet(made, []field{
			{"log", made.Origin}, {"folder", made.Dir}, {"keys", made.Keys}, {"verifier key", made.VKey},
		})
	})
}
