package export

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
)

// partFile is a part's data while it is written, under a name that nobody takes
// for a part.
type partFile struct {
	file    *os.File
	encoder encoder
	counter counter
	totals  *totals
}

// temporary ends the names of files that are not whole yet.
const temporary = ".tmp"

func createPart(dir string, name string, format Format) (*partFile, error) {
	file, err := createFile(filepath.Join(dir, name+temporary))
	if err != nil {
		return nil, unusable(err)
	}
	p := &partFile{file: file, totals: newTotals()}
	p.counter = counter{to: file, hash: sha256.New()}
	if p.encoder, err = format.encode(&p.counter); err != nil {
		return nil, errors.Join(unusable(err), p.abandon())
	}
	return p, nil
}

// add writes a transaction's two rows, the debit first.
func (p *partFile) add(tx transaction) error {
	if err := tx.validate(); err != nil {
		return err
	}
	p.totals.add(tx)
	for _, row := range []Row{tx.debit, tx.credit} {
		if err := p.encoder.Encode(row); err != nil {
			return unusable(err)
		}
	}
	return nil
}

// close makes the file durable, under its temporary name still, and fills in
// what a manifest says of it.
func (p *partFile) close(m *Manifest) error {
	if err := p.encoder.Close(); err != nil {
		return errors.Join(unusable(err), p.abandon())
	}
	for currency, net := range p.totals.net {
		if !net.IsZero() {
			return errors.Join(LedgerInconsistent.Failure("part %d would not sum to zero: %s %s", m.Part, net, currency), p.abandon())
		}
	}
	if err := errors.Join(p.file.Sync(), p.file.Close()); err != nil {
		return unusable(err)
	}
	m.Rows, m.Bytes, m.Sums = p.totals.rows, p.counter.bytes, p.totals.sums()
	m.FirstCommitAt, m.LastCommitAt = p.totals.firstCommit, p.totals.lastCommit
	m.SHA256 = hex.EncodeToString(p.counter.hash.Sum(nil))
	return nil
}

// abandon takes the file away.
func (p *partFile) abandon() error {
	return errors.Join(p.file.Close(), os.Remove(p.file.Name()))
}

// counter counts and hashes what passes to a writer.
type counter struct {
	to    io.Writer
	hash  hash.Hash
	bytes int64
}

func (c *counter) Write(data []byte) (int, error) {
	n, err := c.to.Write(data)
	c.hash.Write(data[:n])
	c.bytes += int64(n)
	return n, err
}

// writeDurably has content under a name in a folder, whole or not at all, even
// after a power cut.
func writeDurably(dir, name string, content []byte) error {
	path := filepath.Join(dir, name)
	file, err := createFile(path + temporary)
	if err != nil {
		return unusable(err)
	}
	_, err = file.Write(content)
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return unusable(err)
	}
	return renameDurably(path+temporary, path)
}

// createFile: what is in an export is not for everybody on the machine.
func createFile(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o640)
}

// renameDurably moves a durable file to its place, replacing what is there.
func renameDurably(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return unusable(err)
	}
	return syncFolder(filepath.Dir(to))
}

func syncFolder(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return unusable(err)
	}
	defer dir.Close()
	if err := dir.Sync(); err != nil {
		return unusable(err)
	}
	return nil
}

// unusable is an error of the folder's disk.
func unusable(err error) error {
	var known *Failure
	if errors.As(err, &known) {
		return err
	}
	return fmt.Errorf("%w (%w)", FolderUnusable.Failure("the export's folder can't be read or written: see to its disk and permissions, then run again"), err)
}
