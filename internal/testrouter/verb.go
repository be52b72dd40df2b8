package testrouter

import (
	"bytes"
	"context"
	"errors"
	"os/exec"
	"time"
)

// verbLimit bounds a verb: none takes as long.
const verbLimit = 2 * time.Minute

// Verb runs a verb of the binary that asks this router, and returns what it has printed, errors included, and its exit status.
func (p *Process) Verb(args ...string) (out string, status int) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), verbLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, Binary(p.t), append(args, "--admin", p.Admin)...)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	err := cmd.Run()
	if failed, ok := errors.AsType[*exec.ExitError](err); err != nil && (!ok || ctx.Err() != nil || !failed.Exited()) {
		p.t.Fatalf("%v: %v\n%s", args, err, said.String())
	}
	return said.String(), cmd.ProcessState.ExitCode()
}
