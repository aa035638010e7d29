package embedded

import (
	"bytes"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// childAttributes put a child into a process group of its own and, unless
// deathSignal is 0, have the system send it that signal when we are killed.
func childAttributes(deathSignal syscall.Signal) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: deathSignal}
}

// namespaceUser is how root runs a program that refuses root where no other
// user can reach the data: inside a user namespace that shows root's files as
// those of an ordinary user.
func namespaceUser() []runAs {
	return []runAs{{name: "root in a user namespace", namespace: true}}
}

// enterNamespace maps root to an ordinary user of a new user namespace.
func enterNamespace(attr *syscall.SysProcAttr) {
	const inner = 1000
	attr.Cloneflags |= syscall.CLONE_NEWUSER
	attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: inner, HostID: 0, Size: 1}}
	attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: inner, HostID: 0, Size: 1}}
}

var bootID = sync.OnceValue(func() string {
	id, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(id))
})

// identify tells a running process from any other that ever had its pid. It is
// empty when there is no such process, or only a zombie of it.
func identify(pid int) string {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return ""
	}
	// The fields follow the program's name, which stands in parentheses and
	// may hold anything: the state comes first, the start time is the 20th.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 20 || fields[0] == "Z" || fields[0] == "X" {
		return ""
	}
	return fields[19] + "@" + bootID()
}

// runsIn says whether a process is alive with dir as its working folder, which
// is where PostgreSQL's processes stand. Where that may not be seen, its name
// decides.
func runsIn(pid int, dir string) bool {
	if identify(pid) == "" {
		return false
	}
	proc := "/proc/" + strconv.Itoa(pid)
	if cwd, err := os.Readlink(proc + "/cwd"); err == nil {
		return cwd == dir
	}
	name, _ := os.ReadFile(proc + "/comm")
	return strings.HasPrefix(string(name), "postgres")
}
