//go:build !linux

package process

import (
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// Attributes put a child into a process group of its own. There is no death
// signal outside Linux: who is killed leaves orphans.
func Attributes(syscall.Signal) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}

func hasDeathSignal(*syscall.SysProcAttr) bool { return false }

// Identify tells a running process from any other that ever had its pid. It is
// empty when there is no such process, or only a zombie of it.
func Identify(pid int) string {
	out, err := exec.Command("ps", "-o", "stat=,lstart=", "-p", strconv.Itoa(pid)).Output()
	fields := strings.Fields(string(out))
	if err != nil || len(fields) < 2 || strings.HasPrefix(fields[0], "Z") {
		return ""
	}
	return strings.Join(fields[1:], " ")
}
