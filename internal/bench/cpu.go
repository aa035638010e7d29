package bench

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// usage is the CPU time used so far, in seconds; negative where it can't be read.
type usage struct{ own, engine, server float64 }

func (b *bench) readCPU(m Mode) usage {
	u := usage{own: ownCPU(), engine: treeCPU(b.enginePID), server: -1}
	if m.IsHTTP() {
		u.server = 0
		for _, replica := range b.Server.URLs {
			if used := treeCPU(listener(replica)); used < 0 || u.server < 0 {
				u.server = -1
			} else {
				u.server += used
			}
		}
	}
	return u
}

func (r *Result) chargeCPU(m Mode, before, after usage, transfers int64) {
	per1000 := func(before, after float64) *float64 {
		if before < 0 || after < before || transfers == 0 {
			return nil
		}
		value := (after - before) * 1000 / float64(transfers)
		return &value
	}
	r.EngineCPU = per1000(before.engine, after.engine)
	if m.IsHTTP() {
		r.ClientCPU, r.ProgramCPU = per1000(before.own, after.own), per1000(before.server, after.server)
	} else {
		r.ProgramCPU = per1000(before.own, after.own)
	}
}

func ownCPU() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return -1
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / float64(time.Second)
}

// ticksPerSecond is the unit of the times in /proc: USER_HZ, 100 on every
// architecture that Go runs on.
const ticksPerSecond = 100

// process is a line of /proc/<pid>/stat.
type process struct {
	parent int
	ticks  int64 // of it and of its children that have ended
}

// treeCPU sums a process and all its descendants. Linux only.
func treeCPU(root int) float64 {
	if root == 0 {
		return -1
	}
	folders, _ := filepath.Glob("/proc/[0-9]*") // the pattern is well formed
	processes := map[int]process{}
	for _, folder := range folders {
		pid, err := strconv.Atoi(filepath.Base(folder))
		if err != nil {
			continue
		}
		if p, ok := readProcess(pid); ok {
			processes[pid] = p
		}
	}
	if _, runs := processes[root]; !runs {
		return -1
	}
	var ticks int64
	for pid, p := range processes {
		if descends(processes, pid, root) {
			ticks += p.ticks
		}
	}
	return float64(ticks) / ticksPerSecond
}

func descends(processes map[int]process, pid, root int) bool {
	for range len(processes) { // parents form no ring, but they are read one by one
		if pid == root {
			return true
		}
		p, known := processes[pid]
		if !known {
			return false
		}
		pid = p.parent
	}
	return false
}

// readProcess reads fields 4 and 14 to 17 of proc(5)'s stat: ppid, utime, stime,
// cutime, cstime.
func readProcess(pid int) (process, bool) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return process{}, false
	}
	// The second field, the name in brackets, may hold anything.
	_, rest, found := strings.Cut(string(text[max(0, strings.LastIndexByte(string(text), ')')):]), ") ")
	fields := strings.Fields(rest)
	if !found || len(fields) < 15 {
		return process{}, false
	}
	var p process
	p.parent, _ = strconv.Atoi(fields[1])
	for _, field := range fields[11:15] {
		ticks, _ := strconv.ParseInt(field, 10, 64)
		p.ticks += ticks
	}
	return p, true
}

// listener is the process on this machine that listens on the port of an
// address, 0 when it is elsewhere or can't be found. Linux only.
func listener(address string) int {
	target, err := url.Parse(address)
	if err != nil || !isLoopback(target.Hostname()) {
		return 0
	}
	port, err := strconv.Atoi(target.Port())
	if err != nil {
		return 0
	}
	sockets := listeningSockets(port)
	links, _ := filepath.Glob("/proc/[0-9]*/fd/*") // only of processes that we may look into
	found := 0
	for _, link := range links {
		to, err := os.Readlink(link)
		if err != nil || !sockets[to] {
			continue
		}
		// A child may have inherited the socket: the oldest is the parent.
		if pid, err := strconv.Atoi(strings.Split(link, "/")[2]); err == nil && (found == 0 || pid < found) {
			found = pid
		}
	}
	return found
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// listeningSockets reads /proc/net/tcp and tcp6: local address in field 2, state
// in field 4 (0A is LISTEN), inode in field 10.
func listeningSockets(port int) map[string]bool {
	sockets := map[string]bool{}
	suffix := fmt.Sprintf(":%04X", port)
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		text, err := os.ReadFile(table)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			fields := strings.Fields(line)
			if len(fields) > 9 && fields[3] == "0A" && strings.HasSuffix(fields[1], suffix) {
				sockets["socket:["+fields[9]+"]"] = true
			}
		}
	}
	return sockets
}
