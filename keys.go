package nestgen

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"nestgen/catalog"
	"nestgen/plan"
	"nestgen/trust"
)

// metaRotations is the key under which the catalog keeps which rotations of the
// site's key are events: the verifier keys that came new, one a line.
const metaRotations = "rotations"

// Keys gives the keys of a site: its own, and those that it trusts. Nothing is made
// or read by that.
func (c *Config) Keys() *trust.Keys { return trust.Open(filepath.Join(c.State, "keys")) }

// KeyName is the name that the key of a site gets if nobody says another.
func (c *Config) KeyName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "" // what the name is then, trust.DefaultName says
	}
	return trust.DefaultName(c.BaseURL, host)
}

// NewKey makes the key of a site, which may be one that was never built. Without a
// name it gets [Config.KeyName]. A site has one key; the error if it has one
// already matches [fs.ErrExist].
func NewKey(c Config, name string) (*trust.Own, error) {
	if err := makeState(c); err != nil {
		return nil, err
	}
	if name == "" {
		name = c.KeyName()
	}
	o, err := c.Keys().New(name)
	if errors.Is(err, fs.ErrExist) {
		return nil, &fault{ErrSettings, err, `"nestgen key rotate" replaces it in a way that those who trust it can follow`}
	}
	return o, KeyFault(err)
}

// TrustKey adds a key to those that a site trusts, as [trust.Keys.Trust] does.
func TrustKey(c Config, line string) (added bool, err error) {
	if err := makeState(c); err != nil {
		return false, err
	}
	added, err = c.Keys().Trust(line)
	return added, KeyFault(err)
}

// makeState makes the state folder as a build would, for the keys of a site that
// was never built.
func makeState(c Config) error { return storage(os.MkdirAll(c.State, 0o700)) }

// KeyFault gives the error of a method of [trust.Keys] as one of the ends in this
// package: what is wrong with a file of keys is for people to put right.
func KeyFault(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return &fault{ErrSettings, err, ""}
	case isStorage(err):
		return storage(err)
	}
	if _, ok := errors.AsType[*fs.PathError](err); ok {
		return err
	}
	return &fault{ErrSettings, err, ""}
}

// noKey is what is said where a key is needed and there is none.
func noKey(c Config) error {
	return &fault{ErrSettings, fmt.Errorf("%s: the site has no key", c.State), `"nestgen key new" makes one`}
}

// OwnKey gives the key of a site.
func OwnKey(c Config) (*trust.Own, error) {
	o, err := c.Keys().Own()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, noKey(c)
	}
	return o, KeyFault(err)
}

// A KeyRotation is what [RotateKey] did.
type KeyRotation struct {
	trust.Rotation

	// Event is the serial of the event that tells of it.
	Event int64

	// Problems are what kept some of it from being published.
	Problems []Problem
}

// RotateKey gives a site a new key, notes that as an event of the index, and publishes
// the history as far as it is published, signed by the new key. It takes the lock of
// the site: a build signs with one key from its begin to its end. The statement of it
// is on disk before the key is used, and the event comes after that; if the run dies
// on the way, the next build does the rest.
func RotateKey(ctx context.Context, c Config, o Options) (*KeyRotation, error) {
	if _, err := OwnKey(c); err != nil {
		return nil, err
	}
	if err := c.built(); err != nil {
		return nil, err
	}
	s, err := open(c, o)
	if err != nil {
		return nil, err
	}
	r, err := s.rotateKey(ctx)
	return r, errors.Join(err, s.close())
}

func (s *site) rotateKey(ctx context.Context) (*KeyRotation, error) {
	r, err := s.newKey(ctx)
	if err != nil {
		return nil, err
	}
	// From here on the key is another, whatever becomes of this process.
	ctx = context.WithoutCancel(ctx)
	last, err := int64(0), s.noteRotations(ctx)
	if err == nil {
		last, err = s.catalog.Serial(ctx)
	}
	if err == nil {
		err = s.publish(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("the key was replaced by %s; what comes after that is for the next build: %w", r.New, storage(err))
	}
	return &KeyRotation{r, last, s.report.Problems}, nil
}

// newKey gives the site its new key. It has the turn: no request signs with the old one
// what has a higher serial than the statement says of that.
func (s *site) newKey(ctx context.Context) (r trust.Rotation, err error) {
	turn, err := s.turn(ctx)
	if err != nil {
		return r, storage(err)
	}
	defer turn.Close()
	serial, err := s.catalog.Serial(ctx)
	if err != nil {
		return r, storage(err)
	}
	_, r, err = s.Keys().Rotate(serial)
	return r, KeyFault(err)
}

// noteRotations makes an event of every rotation of the site's key that the
// catalog does not know of yet, and finishes one that was interrupted. The lock of
// the site is held. The same rotation is never noted twice, also if the catalog or
// the keys come from a backup.
func (s *site) noteRotations(ctx context.Context) error {
	if err := s.Keys().Mend(); err != nil {
		return KeyFault(err)
	}
	statements, err := s.Keys().Rotations()
	if err != nil {
		return KeyFault(err)
	}
	if len(statements) == 0 {
		return nil
	}
	known, err := s.notedRotations(ctx)
	if err != nil {
		return err
	}
	var news []trust.Rotation
	for _, statement := range statements {
		r, err := trust.ParseRotation(statement)
		if err != nil {
			return KeyFault(err)
		}
		if !slices.Contains(known, r.New) {
			news, known = append(news, r), append(known, r.New)
		}
	}
	if len(news) == 0 {
		return nil
	}
	return storage(s.catalog.Update(ctx, Now(), func(tx *catalog.Tx) error {
		for _, r := range news {
			if _, err := tx.Note(catalog.Rotation, "", r.New+replaces+r.Old); err != nil {
				return err
			}
		}
		return tx.SetMeta(metaRotations, strings.Join(known, "\n"))
	}))
}

// NewLog has a site begin another log, signed by a key of its own that has nothing to do
// with the former one: the log cannot go on, because the catalog has lost what was signed
// of it. The next build publishes it, with all that the catalog has. The former key is put
// aside. A site whose log goes on is refused. Without a name the key has that of the former one, or
// [Config.KeyName].
//
// If the run dies on the way, the site is as before or without a log and a key, and the
// same again finishes it.
func NewLog(ctx context.Context, c Config, o Options, name string) (*trust.Own, error) {
	if err := c.built(); err != nil {
		return nil, err
	}
	o.newLog = true
	s, err := open(c, o)
	if err != nil {
		return nil, err
	}
	own, err := s.newLog(ctx, name)
	return own, errors.Join(err, s.close())
}

func (s *site) newLog(ctx context.Context, name string) (*trust.Own, error) {
	own, err := s.Keys().Own()
	if name == "" {
		if name = s.KeyName(); err == nil {
			name = own.Name
		}
	}
	if goesOn, err := s.logGoesOn(ctx); err != nil || goesOn {
		return nil, cmp.Or(err, error(&fault{ErrSettings, fmt.Errorf("%s: the log goes on from all that the site has signed; nothing was changed", s.State), `"nestgen key rotate" gives the site another key`}))
	}
	turn, err := s.turn(ctx)
	if err != nil {
		return nil, storage(err)
	}
	err = s.removeLog(ctx, turn)
	if err = errors.Join(err, storage(turn.Close())); err != nil {
		return nil, err
	}
	own, err = s.Keys().Renew(name)
	return own, KeyFault(err)
}

// logGoesOn reports whether the catalog has all that the site has signed.
func (s *site) logGoesOn(ctx context.Context) (bool, error) {
	remembered, err := s.remembered()
	if isStorage(err) {
		return false, storage(err)
	}
	if err != nil || s.behindLog {
		return false, nil
	}
	if err := s.catalog.Update(ctx, Now(), extendLogs); err != nil {
		return false, storage(err)
	}
	now, err := s.logsNow(ctx, &trust.Own{})
	if err != nil {
		return false, err
	}
	published, err := s.readCheckpoint()
	if _, unproven := errors.AsType[*unprovenError](err); err != nil && !unproven {
		published = checkpoint{} // there is none
	}
	for _, was := range []checkpoint{remembered, published} {
		if forked, err := s.isFork(ctx, was, now); err != nil || forked {
			return false, err
		}
	}
	return true, nil
}

// mustBeLastKey refuses a key that the site has given up, as one from a backup is: those
// who follow its rotations do not believe it any more.
func (s *site) mustBeLastKey(ctx context.Context, own *trust.Own) error {
	known, err := s.notedRotations(ctx)
	if err != nil || len(known) == 0 || known[len(known)-1] == own.Verifier {
		return err
	}
	all, err := s.catalog.SiteEvents(ctx, catalog.Rotation)
	if err != nil {
		return storage(err)
	}
	for _, e := range all {
		to, from, _ := strings.Cut(e.Reason, replaces)
		if from != own.Verifier {
			continue
		}
		keys := filepath.Join(s.State, "keys")
		return &fault{ErrAlarm, fmt.Errorf("%s: the key %s was replaced by %s, as event %d says: these keys are from a backup", keys, own.Key().ID(), to, e.Serial),
			fmt.Sprintf(`put the newest %[1]s back; if it is lost, "rm -f %[1]s/own %[1]s/rotations" and "nestgen build" give the site a key of its own, which "nestgen key show" prints and all who trust it have to be told`, keys)}
	}
	return nil
}

// replaces is what the reason of the event of a rotation has between the new key and
// the old one.
const replaces = " replaces "

// tookRotation notes that the catalog has the event of a rotation, which was taken over.
func tookRotation(tx *catalog.Tx, e *catalog.Event) error {
	known, err := tx.Meta(metaRotations)
	if err != nil {
		return err
	}
	to, _, _ := strings.Cut(e.Reason, replaces)
	return tx.SetMeta(metaRotations, strings.TrimPrefix(known+"\n"+to, "\n"))
}

// notedRotations gives the keys to which the site's was rotated, as events say.
func (s *site) notedRotations(ctx context.Context) ([]string, error) {
	text, err := s.catalog.Meta(ctx, metaRotations)
	return strings.Fields(text), storage(err)
}

// afterRotations is noteRotations for a build, which a file of keys that somebody
// has to put right does not keep from the rest.
func (s *site) afterRotations(ctx context.Context) error {
	if s.opts.DryRun {
		return nil
	}
	err := s.noteRotations(ctx)
	if !errors.Is(err, ErrSettings) {
		return err
	}
	s.report.problem(plan.Incomplete, "", Hint(err), "the keys of the site cannot be used: %v", err)
	return nil
}
