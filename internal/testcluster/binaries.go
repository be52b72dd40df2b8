package testcluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// BinariesVariable is the environment variable that names the directory of PostgreSQL's binaries, before any search.
const BinariesVariable = "PGROUTER_PG_BIN"

// ErrNoBinaries says that this machine has no PostgreSQL server programs that could be started.
var ErrNoBinaries = errors.New("no PostgreSQL server programs found: install the server package (Debian: postgresql), " +
	"or set " + BinariesVariable + " to the directory that holds initdb and postgres")

// needed are the programs without which nothing goes; the others (pg_rewind, pg_basebackup) are asked for when used.
func needed() []string { return []string{"initdb", "postgres", "pg_ctl"} }

// FindBinaries returns the directory of PostgreSQL's server programs: $PGROUTER_PG_BIN, else the newest
// /usr/lib/postgresql/*/bin, else what pg_config --bindir says, else the directory of initdb in PATH. When there is none
// the error is [ErrNoBinaries].
func FindBinaries(ctx context.Context) (string, error) {
	if dir := os.Getenv(BinariesVariable); dir != "" {
		if !complete(dir) {
			return "", fmt.Errorf("%s=%s holds no initdb, postgres and pg_ctl: %w", BinariesVariable, dir, ErrNoBinaries)
		}
		return dir, nil
	}
	for _, dir := range packaged("/usr/lib/postgresql") {
		if complete(dir) {
			return dir, nil
		}
	}
	if out, err := exec.CommandContext(ctx, "pg_config", "--bindir").Output(); err == nil {
		if dir := strings.TrimSpace(string(out)); complete(dir) {
			return dir, nil
		}
	}
	if path, err := exec.LookPath("initdb"); err == nil {
		if file, err := filepath.EvalSymlinks(path); err == nil && complete(filepath.Dir(file)) {
			return filepath.Dir(file), nil
		}
	}
	return "", ErrNoBinaries
}

// packaged lists root/VERSION/bin, newest version first.
func packaged(root string) []string {
	entries, err := os.ReadDir(root)
	if err != nil {
		return nil
	}
	slices.SortFunc(entries, func(a, b os.DirEntry) int {
		return cmp.Compare(version(b.Name()), version(a.Name()))
	})
	dirs := make([]string, 0, len(entries))
	for _, e := range entries {
		dirs = append(dirs, filepath.Join(root, e.Name(), "bin"))
	}
	return dirs
}

func version(name string) float64 {
	v, err := strconv.ParseFloat(name, 64)
	if err != nil {
		return 0
	}
	return v
}

func complete(dir string) bool {
	for _, program := range needed() {
		if info, err := os.Stat(filepath.Join(dir, program)); err != nil || info.IsDir() {
			return false
		}
	}
	return true
}
