package demand

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// An Outcome is what came of finding something out.
type Outcome byte

// The outcomes.
const (
	Present Outcome = 'p' // an upstream has it
	Absent  Outcome = 'a' // none has it
	Failed  Outcome = 'f' // it could not be found out
)

// An Answer is what came of finding something out, and when.
type Answer struct {
	Outcome Outcome
	At      time.Time // to the second
}

// Younger reports whether an answer is the given one and not older than age. One
// from the future, as after the clock was set back, is not.
func (a Answer) Younger(o Outcome, age time.Duration, now time.Time) bool {
	since := now.Sub(a.At)
	return a.Outcome == o && since >= -time.Second && since < age
}

// Answers are kept in files by the beginning of their keys. Each holds so many,
// the latest: together some hundred thousand, in some megabytes.
const (
	perFile    = 64
	answerSize = 16 + 1 + 8
)

// file is where the answer about a key is kept.
func (t *Table) file(k key) string { return filepath.Join(t.dir, k.String()[:3]) }

// Look gives the last answer about something; the zero Answer if none is known.
func (t *Table) Look(what string) Answer {
	k := keyOf(what)
	data, err := os.ReadFile(t.file(k))
	if err != nil {
		return Answer{}
	}
	for e := range slices.Chunk(data, answerSize) {
		if len(e) == answerSize && bytes.Equal(e[:16], k[:16]) {
			return Answer{Outcome(e[16]), time.Unix(int64(binary.BigEndian.Uint64(e[17:])), 0)}
		}
	}
	return Answer{}
}

// Note keeps an answer.
func (v *Visit) Note(a Answer) error { return v.t.note(v.key, a) }

// Note keeps an answer about something that was found out without a [Visit].
func (t *Table) Note(what string, a Answer) error { return t.note(keyOf(what), a) }

// note puts an answer in front of those of its file. Of two that are noted at
// once in one file one may be lost.
func (t *Table) note(k key, a Answer) error {
	name := t.file(k)
	old, err := os.ReadFile(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	data := make([]byte, 0, perFile*answerSize)
	data = append(data, k[:16]...)
	data = append(data, byte(a.Outcome))
	data = binary.BigEndian.AppendUint64(data, uint64(a.At.Unix()))
	for e := range slices.Chunk(old, answerSize) {
		if len(e) == answerSize && !bytes.Equal(e[:16], k[:16]) && len(data) < perFile*answerSize {
			data = append(data, e...)
		}
	}
	return t.replace(name, data)
}

// tempPrefix begins the names of files that are about to take another's place.
const tempPrefix = "new-"

func isTemp(name string) bool { return strings.HasPrefix(name, tempPrefix) }

// replace writes a file whole. It is not synced: after a power cut it may be
// empty, which is no answer.
func (t *Table) replace(name string, data []byte) error {
	f, err := os.CreateTemp(t.dir, tempPrefix)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(t.dir, 0o700); err != nil {
			return err
		}
		f, err = os.CreateTemp(t.dir, tempPrefix)
	}
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Close()); err == nil {
		err = unix.Rename(f.Name(), name)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}
