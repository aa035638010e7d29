package embedded

import (
	"os"
	"strconv"
	"strings"
	"syscall"

	"florin/internal/platform/process"
)

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

// runsIn says whether a process is alive with dir as its working folder, which
// is where PostgreSQL's processes stand. Where that may not be seen, its name
// decides.
func runsIn(pid int, dir string) bool {
	if process.Identify(pid) == "" {
		return false
	}
	proc := "/proc/" + strconv.Itoa(pid)
	if cwd, err := os.Readlink(proc + "/cwd"); err == nil {
		return cwd == dir
	}
	name, _ := os.ReadFile(proc + "/comm")
	return strings.HasPrefix(string(name), "postgres")
}
