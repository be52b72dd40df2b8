package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/pgrouter/pgrouter/config"
)

// version is set when a release is built (-ldflags "-X main.version=…"); otherwise the build's own information is told.
var version = "0.1.0-dev"

// run is the whole program: a verb and its flags in, an error out.
func run(ctx context.Context, args []string, s streams) error {
	root := rootCommand(s)
	root.SetArgs(args)
	root.SetOut(s.out)
	root.SetErr(s.err)
	return root.ExecuteContext(ctx)
}

func rootCommand(s streams) *cobra.Command {
	root := &cobra.Command{
		Use:           "pgrouter",
		Short:         "A connection router for PostgreSQL clusters: writes on 5000, reads on 5001, pooled, through a failover",
		Long:          rootHelp,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          noArgs,
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &usageError{err} })
	root.CompletionOptions.HiddenDefaultCmd = true
	runCmd := runCommand(s)
	root.RunE = runCmd.RunE // the default verb
	root.Flags().AddFlagSet(runCmd.Flags())
	root.AddCommand(runCmd, checkCommand(s), configCommand(s), switchoverCommand(s), failoverCommand(s), holdCommand(s), releaseCommand(s), acceptCommand(s), demoCommand(s), versionCommand(s))
	return root
}

const rootHelp = `pgrouter stands in front of a PostgreSQL primary and its standbys. It pools connections, finds the primary,
sends port 5000 to it and port 5001 to the standbys, and turns a failover into latency instead of errors.

Without a verb it runs. Without a configuration file it reads PG* and PGROUTER_* from the environment:

  PGROUTER_CLUSTER_NODES=10.0.0.11:5432,10.0.0.12:5432 pgrouter

See it survive a failover first:

  pgrouter demo`

func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return &usageError{fmt.Errorf("unknown verb or argument %q; see pgrouter --help", args[0])}
	}
	return nil
}

func configFlag(cmd *cobra.Command, path *string) {
	cmd.Flags().StringVar(path, "config", "", "configuration file (TOML); without it the environment is read")
}

func runCommand(s streams) *cobra.Command {
	var path, profile string
	cmd := &cobra.Command{
		Use: "run", Short: "Run the router (the default verb)", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			stop, err := startProfile(profile)
			if err != nil {
				return err
			}
			return errors.Join(runRouter(cmd.Context(), path, s), stop())
		},
	}
	configFlag(cmd, &path)
	cmd.Flags().StringVar(&profile, "cpuprofile", "", "write a CPU profile (pprof) of the whole run to this file")
	return cmd
}

func checkCommand(s streams) *cobra.Command {
	var path string
	var online bool
	cmd := &cobra.Command{
		Use: "check", Short: "Check the configuration; every fault is told with its place and a hint", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig(path, s)
			if err != nil {
				return err
			}
			if _, err := newPeople(cfg, nil); err != nil {
				return err
			}
			fmt.Fprintf(s.out, "%s: good: %d cluster(s), %d listener(s)\n", cfg.Source, len(cfg.Clusters), len(cfg.Listeners))
			if online {
				return checkOnline(cmd.Context(), cfg, s.out)
			}
			return nil
		},
	}
	configFlag(cmd, &path)
	cmd.Flags().BoolVar(&online, "online", false, "ask every configured node as the router would: role, rights of the probe, poolers in between")
	return cmd
}

func configCommand(s streams) *cobra.Command {
	var path string
	cmd := &cobra.Command{Use: "config", Short: "Look at the configuration", Args: noArgs}
	show := &cobra.Command{
		Use: "show", Short: "Print the configuration in force, defaults included, secrets left out", Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			cfg, err := loadConfig(path, s)
			if err != nil {
				return err
			}
			_, err = fmt.Fprint(s.out, cfg.Show())
			return err
		},
	}
	configFlag(show, &path)
	cmd.AddCommand(show)
	return cmd
}

func versionCommand(s streams) *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintf(s.out, "pgrouter %s%s (%s, %s/%s)\n", version, revision(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return err
		},
	}
}

// revision returns the commit that the binary was built from, when the build knows it.
func revision() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" {
			const short = 12
			return " " + setting.Value[:min(short, len(setting.Value))]
		}
	}
	return ""
}

// errFaulty says that the faults of the configuration were told.
var errFaulty = errors.New("the configuration has faults")

// loadConfig reads the configuration and tells what is wrong with it.
func loadConfig(path string, s streams) (*config.Config, error) {
	cfg, faults := config.Load(path, os.Environ())
	for _, f := range faults {
		fmt.Fprintln(s.err, f)
	}
	if config.Failed(faults) {
		return nil, &toldError{&usageError{errFaulty}}
	}
	return cfg, nil
}
