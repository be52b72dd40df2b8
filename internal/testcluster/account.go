package testcluster

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"strings"
	"syscall"
)

// serverAccount is the account that PostgreSQL runs as when this process is root.
const serverAccount = "postgres"

// account is who runs PostgreSQL's programs and owns their files.
type account struct {
	name       string
	credential *syscall.Credential // nil: the account of this process
}

func findAccount() (account, error) {
	if os.Geteuid() != 0 {
		return account{}, nil
	}
	u, err := user.Lookup(serverAccount)
	if err != nil {
		return account{}, fmt.Errorf("PostgreSQL does not run as root and there is no account %q to run it as: %w", serverAccount, err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return account{}, fmt.Errorf("account %s: user id: %w", serverAccount, err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return account{}, fmt.Errorf("account %s: group id: %w", serverAccount, err)
	}
	return account{name: serverAccount, credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}, nil
}

// own gives a file or directory to the account.
func (a account) own(path string) error {
	if a.credential == nil {
		return nil
	}
	return os.Chown(path, int(a.credential.Uid), int(a.credential.Gid))
}

// mkdir makes a directory that only the account may enter.
func (a account) mkdir(path string) error {
	if err := os.Mkdir(path, 0o700); err != nil {
		return err
	}
	return a.own(path)
}

// write writes a file of the account's.
func (a account) write(path, content string) error {
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		return err
	}
	return a.own(path)
}

// replace puts a file of the account's in the place of another, so that no reader sees half of it.
func (a account) replace(path, content string) error {
	fresh := path + ".new"
	if err := a.write(fresh, content); err != nil {
		return err
	}
	return os.Rename(fresh, path)
}

// prepare makes cmd run as the account, in dir, in a process group of its own (so that a terminal's Ctrl-C reaches us
// only), and die with onDeath when this process dies. It relies on Go's runtime keeping its threads, and on nobody
// ending a goroutine that has one locked: the parent-death signal is bound to the thread that forked.
func (a account) prepare(cmd *exec.Cmd, dir string, onDeath syscall.Signal) {
	cmd.Dir = dir
	cmd.Env = environment(dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: a.credential, Setpgid: true, Pdeathsig: onDeath}
}

// run runs one of PostgreSQL's programs to its end. The error holds what the program printed.
func (a account) run(ctx context.Context, dir, program string, args ...string) error {
	cmd := exec.CommandContext(ctx, program, args...)
	a.prepare(cmd, dir, syscall.SIGKILL)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", program, err, lastLines(string(out), 10))
	}
	return nil
}

// environment is ours without what would steer libpq, Patroni or etcd, or translate messages.
func environment(home string) []string {
	env := []string{"HOME=" + home, "LC_ALL=C"}
	for _, kv := range os.Environ() {
		if name, _, _ := strings.Cut(kv, "="); !steers(name) {
			env = append(env, kv)
		}
	}
	return env
}

func steers(name string) bool {
	for _, prefix := range []string{"PG", "LC_", "PATRONI_", "ETCD"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return name == "LANG" || name == "LANGUAGE" || name == "HOME"
}

// shell turns a command line into one that the account runs: as root through su, which every Linux has.
func (a account) shell(words ...string) string {
	line := quoteWords(words)
	if a.credential == nil {
		return line
	}
	return "su -s /bin/sh " + a.name + " -c " + quoteWord(line)
}

func quoteWords(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = quoteWord(w)
	}
	return strings.Join(quoted, " ")
}

func quoteWord(w string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./=:", r)
	}
	if w != "" && strings.IndexFunc(w, func(r rune) bool { return !plain(r) }) < 0 {
		return w
	}
	return "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
}

func lastLines(s string, n int) string {
	lines := strings.Split(strings.TrimRight(s, "\n"), "\n")
	if len(lines) > n {
		lines = lines[len(lines)-n:]
	}
	return strings.Join(lines, "\n")
}
