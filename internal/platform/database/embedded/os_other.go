//go:build !linux

package embedded

import (
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// childAttributes put a child into a process group of its own. There is no
// death signal outside Linux: a killed owner leaves an orphan to adopt.
func childAttributes(syscall.Signal) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}

// namespaceUser is empty: user namespaces are Linux's.
func namespaceUser() []runAs { return nil }

func enterNamespace(*syscall.SysProcAttr) {}

// identify tells a running process from any other that ever had its pid. It is
// empty when there is no such process, or only a zombie of it.
func identify(pid int) string {
	out, err := exec.Command("ps", "-o", "stat=,lstart=", "-p", strconv.Itoa(pid)).Output()
	fields := strings.Fields(string(out))
	if err != nil || len(fields) < 2 || strings.HasPrefix(fields[0], "Z") {
		return ""
	}
	return strings.Join(fields[1:], " ")
}

// runsIn says whether a process is alive and may be a PostgreSQL of dir: its
// working folder is not easily seen here, so its name decides.
func runsIn(pid int, _ string) bool {
	out, err := exec.Command("ps", "-o", "comm=", "-p", strconv.Itoa(pid)).Output()
	name := filepath.Base(strings.TrimSpace(string(out)))
	return err == nil && (strings.HasPrefix(name, "postgres") || name == "postmaster")
}
