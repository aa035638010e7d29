package embedded

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"

	"florin/internal/platform/process"
)

// runAs is whom a program that refuses root runs as. The zero value is
// ourselves.
type runAs struct {
	name      string
	uid, gid  int
	namespace bool // root, shown to the program as an ordinary user
}

// apply has a child with these attributes run so.
func (r runAs) apply(attr *syscall.SysProcAttr) {
	switch {
	case r.namespace:
		enterNamespace(attr)
	case r.uid != 0:
		attr.Credential = &syscall.Credential{Uid: uint32(r.uid), Gid: uint32(r.gid)}
	}
}

// notRoot finds whom a program can run as so that it reaches dataDir: ourselves
// unless we are root. As root it is, in this order, the user whom the existing
// data belongs to, postgres, nobody, a user who owns dataDir or a folder above
// it, and root itself inside a user namespace. Each is tried for real, since
// permissions, access lists, containers and security modules all have a say.
func notRoot(program, dataDir, existing string) (runAs, error) {
	if os.Geteuid() != 0 {
		return runAs{}, nil
	}
	candidates := owners(existing)
	for _, name := range []string{"postgres", "nobody"} {
		if u, err := user.Lookup(name); err == nil {
			uid, _ := strconv.Atoi(u.Uid)
			gid, _ := strconv.Atoi(u.Gid)
			candidates = append(candidates, runAs{name: name, uid: uid, gid: gid})
		}
	}
	for dir := dataDir; ; dir = filepath.Dir(dir) {
		candidates = append(candidates, owners(dir)...)
		if dir == filepath.Dir(dir) {
			break
		}
	}
	var last error
	for _, r := range append(candidates, namespaceUser()...) {
		probe := exec.Command(program, "-V")
		probe.Dir = dataDir
		probe.SysProcAttr = process.Attributes(0)
		r.apply(probe.SysProcAttr)
		if last = probe.Run(); last == nil {
			return r, nil
		}
	}
	return runAs{}, fmt.Errorf("%w, and neither another user nor a user namespace can run it for %s (last try: %v): "+
		"run florin as an ordinary user, or choose a data folder that user postgres can reach, such as /var/lib/florin",
		ErrCannotDropRoot, dataDir, last)
}

// owners is the user whom path belongs to, if that is not root.
func owners(path string) []runAs {
	info, err := os.Stat(path)
	if err != nil {
		return nil
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || st.Uid == 0 {
		return nil
	}
	return []runAs{{name: "uid " + strconv.Itoa(int(st.Uid)), uid: int(st.Uid), gid: int(st.Gid)}}
}

// takeOver gives dir and all in it to r, the top last: a top that belongs to r
// says that the rest does. As somebody else than root it only checks.
func (r runAs) takeOver(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrBrokenDataDir, err)
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	if os.Geteuid() != 0 {
		if int(st.Uid) != os.Geteuid() {
			return fmt.Errorf("%w: %s belongs to uid %d: run florin as that user or as root, or give the folder to this user with chown -R",
				ErrBrokenDataDir, dir, st.Uid)
		}
		return nil
	}
	if int(st.Uid) == r.uid {
		return nil
	}
	err = filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		return os.Lchown(path, r.uid, r.gid)
	})
	if err == nil {
		err = os.Lchown(dir, r.uid, r.gid)
	}
	if err != nil {
		return fmt.Errorf("%w: cannot give %s to %s: %w: choose a data folder on a local disk", ErrBrokenDataDir, dir, r.name, err)
	}
	return nil
}

// writeFile writes a file that r can read and nobody else. The folder may
// belong to a lesser user than we are, so no link found in it is followed.
func (r runAs) writeFile(path string, text []byte) error {
	next := path + ".next"
	if err := os.Remove(next); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	file, err := os.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	if os.Geteuid() == 0 {
		err = errors.Join(err, file.Chown(r.uid, r.gid))
	}
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	return os.Rename(next, path)
}
