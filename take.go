package nestgen

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"nestgen/catalog"
	"nestgen/drop"
	"nestgen/intake"
	"nestgen/plan"
)

// take copies a file of a drop folder into the stage. The copy is what is
// inspected: whoever can write to the drop folder cannot reach it. The arrival
// is nil if the file could not be taken.
func (s *site) take(ctx context.Context, d *decided, t plan.Take) (*arrival, error) {
	e := d.entries[t.Entry]
	var a *arrival
	f, err := s.local.view.Open(e)
	if err != nil {
		err = &droppedError{err}
	} else {
		a, err = s.takeFrom(ctx, f, e, d, t)
		f.Close()
	}
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if isStorage(err) && !ofDropped(err, e) {
			return nil, err
		}
		s.lose(d, plan.Incomplete, t.Where, "the next run tries again", "not taken: %v", err)
		s.local.failed.Store(true)
		return nil, nil
	}
	return a, nil
}

func (s *site) takeFrom(ctx context.Context, f *os.File, e drop.Entry, d *decided, t plan.Take) (*arrival, error) {
	tmp, err := s.tree.NewFile()
	if err != nil {
		return nil, err
	}
	defer tmp.Close()
	// Reading a closed file fails at once, whichever of them is being read.
	defer context.AfterFunc(ctx, func() { f.Close(); tmp.Close() })()
	sums, err := intake.Copy(tmp, f, int64(s.MaxFile))
	if err != nil {
		return nil, err
	}
	if sums.SHA256 != t.SHA256 {
		return nil, errors.New("it changed while it was read")
	}
	facts, err := intake.Inspect(tmp, sums.Size, t.File, d.Name, intake.Drop)
	if err != nil {
		return nil, err
	}
	a := newArrival(d.Name, t.File, sums, facts, tmp.Name())
	if old, listed := listedAs(d.Current, t.File); listed {
		a.moveTo(old.Path)
	}
	a.why = t.Why
	a.file.Source = catalog.Local
	a.file.Uploaded = firstSeen(e.CTime)
	a.file.Yanked = s.intent.policy.Yank(d.Name, t.File, a.file.Version, catalog.Yank{})
	if err := s.checkMetadata(e, t, facts); err != nil {
		return nil, err
	}
	for _, c := range []drop.Companion{drop.Signature, drop.Provenance} {
		data, err := s.companion(e, c)
		if err != nil {
			return nil, err
		}
		a.beside(c, data)
	}
	return a, nil
}

// checkMetadata holds a metadata file that lies beside a dropped file against
// what the file itself says, which is what is published (PEP 658).
func (s *site) checkMetadata(e drop.Entry, t plan.Take, facts intake.Facts) error {
	data, err := s.companion(e, drop.Metadata)
	if err != nil {
		return err
	}
	if data != nil && !bytes.Equal(data, facts.Metadata) {
		s.warn(t.Where+drop.Metadata.Ending(), "remove it: what the file itself holds is published", "it is not the metadata that %s holds", t.File)
	}
	return nil
}

// A droppedError is an error of a drop folder's own disk.
type droppedError struct{ error }

func (e *droppedError) Unwrap() error { return e.error }

// ofDropped reports whether an error comes from reading a file of a drop
// folder, or a companion of it, and not from the disk that the site is on.
func ofDropped(err error, e drop.Entry) bool {
	if _, ok := errors.AsType[*droppedError](err); ok {
		return true
	}
	p, ok := errors.AsType[*fs.PathError](err)
	return ok && strings.HasPrefix(p.Path, e.Name())
}

// firstSeen is when a local file was put where it was found: the time of its
// last status change, which copying an old file does not set back. It is cut
// to seconds and never later than now.
func firstSeen(ctime int64) int64 {
	now := Now()
	t := time.Unix(0, ctime)
	if os.Getenv("SOURCE_DATE_EPOCH") != "" || t.After(now) {
		t = now
	}
	return t.Truncate(time.Second).UnixMicro()
}

// maxCompanion is how large a signature or an attestation may be.
const maxCompanion = 1 << 20

// companion reads a companion of a dropped file; nil if there is none.
func (s *site) companion(e drop.Entry, c drop.Companion) ([]byte, error) {
	if e.Companion(c).IsZero() {
		return nil, nil
	}
	f, err := s.local.view.OpenCompanion(e, c)
	if err != nil {
		return nil, &droppedError{err}
	}
	defer f.Close()
	return readCompanion(f)
}

func readCompanionAt(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readCompanion(f)
}

func readCompanion(f *os.File) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(f, maxCompanion+1))
	if err == nil && len(data) > maxCompanion {
		err = fmt.Errorf("larger than %d bytes", maxCompanion)
	}
	return data, err
}
