package process

import (
	"bytes"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// Attributes put a child into a process group of its own and, unless deathSignal
// is 0, have the system send it that signal when we are killed. Such a child must
// be started by Start or Run: os/exec alone may end the thread that started it,
// and the child with it.
func Attributes(deathSignal syscall.Signal) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: deathSignal}
}

func hasDeathSignal(attr *syscall.SysProcAttr) bool { return attr != nil && attr.Pdeathsig != 0 }

var bootID = sync.OnceValue(func() string {
	id, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(id))
})

// Identify tells a running process from any other that ever had its pid. It is
// empty when there is no such process, or only a zombie of it.
func Identify(pid int) string {
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
