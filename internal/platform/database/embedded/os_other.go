//go:build !linux

package embedded

import (
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// namespaceUser is empty: user namespaces are Linux's.
func namespaceUser() []runAs { return nil }

func enterNamespace(*syscall.SysProcAttr) {}

// runsIn says whether a process is alive and may be a PostgreSQL of dir: its
// working folder is not easily seen here, so its name decides.
func runsIn(pid int, _ string) bool {
	out, err := exec.Command("ps", "-o", "comm=", "-p", strconv.Itoa(pid)).Output()
	name := filepath.Base(strings.TrimSpace(string(out)))
	return err == nil && (strings.HasPrefix(name, "postgres") || name == "postmaster")
}
