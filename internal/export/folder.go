package export

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

const (
	lockName = ".lock"
	// historyName is where history is staged until all of it is there.
	historyName = ".history"
	// completeName is written last into historyName: from then on its parts are
	// published, however often that is interrupted. It holds the export's id.
	completeName = "complete"
)

var manifestPattern = regexp.MustCompile(`^part-(\d{8,})\.manifest\.json$`)

// folder is one exporter's hold on the folder it writes to. A part is its data
// file and then its manifest: the manifest's rename is the commit.
type folder struct {
	dir      string
	lock     *os.File
	head     Manifest // of the newest part; Part 0 when there is none
	headHash string
}

// openFolder makes the folder when there is none and locks it. Returns
// FolderInUse while another exporter has it, and FolderUnusable. Close it.
func openFolder(dir string) (*folder, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, unusable(err)
	}
	if err := syncFolder(filepath.Dir(dir)); err != nil {
		return nil, err
	}
	lock, err := os.OpenFile(filepath.Join(dir, lockName), os.O_CREATE|os.O_RDWR, 0o640)
	if err != nil {
		return nil, unusable(err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		lock.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, FolderInUse.Failure("another exporter writes to %s: stop it, or choose another folder", dir)
		}
		return nil, unusable(err)
	}
	return &folder{dir: dir, lock: lock}, nil
}

// close lets the folder go.
func (f *folder) close() error { return f.lock.Close() }

// recover finishes what a crash left: it publishes a history that is complete,
// takes away one that is not and files that are not whole, and reads the newest
// part. It then holds the folder against the catalog: the folder may be ahead by
// parts that the catalog was not told of, but everything that the catalog knows
// must be there. Returns FolderMismatch when it is not.
func (f *folder) recover(e Export) error {
	if err := f.recoverHistory(e.ID); err != nil {
		return err
	}
	if err := f.removeTemporary(); err != nil {
		return err
	}
	newest, err := newestPart(f.dir)
	if err != nil {
		return err
	}
	if newest < e.Part {
		return FolderMismatch.Failure("%s ends with part %d, but part %d of export %s was written: bring the missing files back, "+
			"or cancel the export and export to an empty folder", f.dir, newest, e.Part, e.ID)
	}
	expected, previous := e.ManifestHash, ""
	for part := max(e.Part, 1); part <= newest; part++ {
		m, hash, err := readManifest(f.dir, part)
		if err != nil {
			return err
		}
		switch {
		case m.ExportID != e.ID:
			return FolderMismatch.Failure("%s holds export %s, not %s: choose an empty folder", f.dir, m.ExportID, e.ID)
		case part == e.Part && hash != expected:
			return FolderMismatch.Failure("%s is not the one that the catalog knows: bring the folder back as it was", filepath.Join(f.dir, manifestName(part)))
		case part > e.Part && m.PreviousManifestSHA256 != previous:
			return FolderMismatch.Failure("%s does not follow the part before it: bring the folder back as it was", filepath.Join(f.dir, manifestName(part)))
		}
		f.head, f.headHash, previous = m, hash, hash
	}
	return nil
}

func (f *folder) removeTemporary() error {
	entries, err := os.ReadDir(f.dir)
	if err != nil {
		return unusable(err)
	}
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), "part-") && strings.HasSuffix(entry.Name(), temporary) {
			if err := os.Remove(filepath.Join(f.dir, entry.Name())); err != nil {
				return unusable(err)
			}
		}
	}
	return nil
}

// publish makes a part of what was written under a temporary name.
func (f *folder) publish(m Manifest) error {
	if err := f.placeData(m); err != nil {
		return err
	}
	return f.commit(m)
}

// placeData gives a part's data its name. Without its manifest it is no part
// yet, and the next exporter replaces it.
func (f *folder) placeData(m Manifest) error {
	path := filepath.Join(f.dir, m.File)
	return renameDurably(path+temporary, path)
}

// commit writes a part's manifest, and so the part.
func (f *folder) commit(m Manifest) error {
	text := m.encode()
	if err := writeDurably(f.dir, manifestName(m.Part), text); err != nil {
		return err
	}
	f.head, f.headHash = m, checksum(text)
	return nil
}

// follow begins the manifest of the part after the newest.
func (f *folder) follow(e Export) Manifest {
	part := f.head.Part + 1
	return Manifest{
		Version: manifestVersion, ExportID: e.ID, Part: part, File: dataName(part, e.Format), Format: e.Format,
		ResolvedAt: f.head.ResolvedAt, PreviousManifestSHA256: f.headHash,
	}
}

// progress is what the newest part says.
func (f *folder) progress() Progress {
	return Progress{
		Part: f.head.Part, ManifestHash: f.headHash, Rows: f.head.TotalRows,
		ResolvedAt: f.head.ResolvedAt, Position: f.head.Position,
	}
}

// parts lists the numbers of the manifests in a folder, in order.
func parts(dir string) ([]int64, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, unusable(err)
	}
	var numbers []int64
	for _, entry := range entries {
		if match := manifestPattern.FindStringSubmatch(entry.Name()); match != nil {
			number, err := strconv.ParseInt(match[1], 10, 64)
			if err != nil || manifestName(number) != entry.Name() {
				return nil, FolderMismatch.Failure("%s has no part's name: it is not an export's", filepath.Join(dir, entry.Name()))
			}
			numbers = append(numbers, number)
		}
	}
	slices.Sort(numbers)
	return numbers, nil
}

func newestPart(dir string) (int64, error) {
	numbers, err := parts(dir)
	if err != nil || len(numbers) == 0 {
		return 0, err
	}
	return numbers[len(numbers)-1], nil
}

// readManifest returns a part's manifest and its checksum.
func readManifest(dir string, part int64) (Manifest, string, error) {
	path := filepath.Join(dir, manifestName(part))
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Manifest{}, "", FolderMismatch.Failure("%s is missing: bring it back", path)
	}
	if err != nil {
		return Manifest{}, "", unusable(err)
	}
	m, err := parseManifest(text)
	if err == nil && (m.Part != part || m.File != dataName(part, m.Format) || m.Format.validate() != nil) {
		err = fmt.Errorf("it says that it is part %d, %s", m.Part, m.File)
	}
	if err != nil {
		return Manifest{}, "", FolderMismatch.Failure("%s is not as it was written: %v", path, err)
	}
	return m, checksum(text), nil
}
