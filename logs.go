package nestgen

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/sys/unix"

	"nestgen/catalog"
	"nestgen/layout"
	"nestgen/plan"
	"nestgen/publish"
	"nestgen/record"
	"nestgen/tilelog"
	"nestgen/trust"
)

// What happened is a log, and what was published is another: every event, and every
// page with the digest of its bytes, is a leaf of a hash tree that can only grow. The
// catalog keeps both, and extends them in the transaction that notes what was
// published. Where the settings say so, both are published as files of their own
// (C2SP tlog-tiles), with one checkpoint that the site signs: who has its key can prove
// that what is served is what the history says, and that nobody has rewritten it.

// ownKey gives the key that the site signs with, and makes one if there is none.
func (s *site) ownKey() (*trust.Own, error) {
	keys := s.Keys()
	own, err := keys.Own()
	if !errors.Is(err, fs.ErrNotExist) {
		return own, err
	}
	own, err = keys.New(s.KeyName())
	if errors.Is(err, fs.ErrExist) { // another process was first
		return keys.Own()
	}
	return own, err
}

// notePages notes what a batch has published, and what it has taken away.
func (s *site) notePages(tx *catalog.Tx, b *publish.Batch) error {
	put, gone := b.Pages()
	for _, name := range gone {
		paths := []string{name}
		if folder, is := strings.CutSuffix(name, "/"); is {
			var err error
			if paths, err = tx.PagesBelow(folder); err != nil {
				return err
			}
		}
		for _, p := range paths {
			if _, err := tx.Published(catalog.Page{Path: p}); err != nil {
				return err
			}
		}
	}
	for _, p := range put {
		if _, err := tx.Published(p); err != nil {
			return err
		}
	}
	return nil
}

// logPages has the log say at once what a batch has published and taken away.
func (s *site) logPages(ctx context.Context, turn *publish.Turn, b *publish.Batch) error {
	err := s.catalog.Update(ctx, Now(), func(tx *catalog.Tx) error { return errors.Join(s.notePages(tx, b), extendLogs(tx)) })
	if err != nil {
		return storage(err)
	}
	_, err = s.publishLogs(ctx, turn, false)
	return err
}

// noteLost notes what was published once and is not there any more, though no batch says
// that it took it away: compressed siblings go with the pages that have none any more,
// and somebody may have given the site another folder.
func (s *site) noteLost(tx *catalog.Tx) error {
	paths, err := tx.PagePaths()
	if err != nil {
		return err
	}
	return s.noteGone(tx, paths)
}

// noteLeft notes what a run has taken away that died before it could note that, where
// the next one does not do so again because it looks at what is there.
func (s *site) noteLeft(tx *catalog.Tx, d publishedPages) error {
	paths := []string{layout.HeldHTML, layout.HeldHTML + ".gz", layout.HeldJSON}
	for n := range d.shown {
		releases, err := tx.PagesBelow(layout.Below(d.Prefix, layout.Legacy+"/"+string(n)))
		if err != nil {
			return err
		}
		paths = append(paths, releases...)
	}
	return s.noteGone(tx, paths)
}

// noteGone notes those of some paths where nothing is any more.
func (s *site) noteGone(tx *catalog.Tx, paths []string) error {
	for _, p := range paths {
		if s.exists(p) {
			continue
		}
		if _, err := tx.Published(catalog.Page{Path: p}); err != nil {
			return err
		}
	}
	return nil
}

// extendLogs takes into the logs what happened and what was published since the last
// time.
func extendLogs(tx *catalog.Tx) error {
	size, err := tx.LogSize(catalog.Events)
	if err != nil {
		return err
	}
	if err := extendLog(tx, catalog.Events, size, eventLeaves(tx.Records(size, tx.Last()))); err != nil {
		return err
	}
	if size, err = tx.LogSize(catalog.Pages); err != nil {
		return err
	}
	return extendLog(tx, catalog.Pages, size, pageLeaves(tx.PageLog(size, 1<<62)))
}

// eventLeaves gives records as the log has them. Each stands until the next.
func eventLeaves(records iter.Seq2[catalog.Record, error]) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		var enc record.Encoder
		for r, err := range records {
			var leaf []byte
			if err == nil {
				leaf, err = enc.Encode(&r)
			}
			if !yield(leaf, err) || err != nil {
				return
			}
		}
	}
}

// pageLeaves gives what was published as the log has it. Each leaf stands until the
// next.
func pageLeaves(pages iter.Seq2[catalog.Page, error]) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		var leaf []byte
		for p, err := range pages {
			leaf = record.AppendPage(leaf[:0], p)
			if !yield(leaf, err) || err != nil {
				return
			}
		}
	}
}

// leaves gives those of a log from an index up to another, which is not among them.
func (s *site) leaves(ctx context.Context, log catalog.LogName, from, to int64) iter.Seq2[[]byte, error] {
	if log == catalog.Pages {
		return pageLeaves(s.catalog.PageLog(ctx, from, to))
	}
	return eventLeaves(s.catalog.Records(ctx, from, to)) // the serial is the index and one
}

func extendLog(tx *catalog.Tx, log catalog.LogName, size int64, leaves iter.Seq2[[]byte, error]) error {
	var hashes []tilelog.Hash
	for leaf, err := range leaves {
		if err != nil {
			return err
		}
		hashes = append(hashes, tilelog.LeafHash(leaf))
	}
	if len(hashes) == 0 {
		return nil
	}
	changed, _, err := tilelog.Append(size, tx.Tiles(log), hashes)
	if err != nil {
		return fmt.Errorf("log of %s: %w", log, err)
	}
	for _, t := range changed {
		if err := tx.SetTile(log, t.Level, t.N, t.Data); err != nil {
			return err
		}
	}
	return tx.SetLogSize(log, size+int64(len(hashes)))
}

// logsBehind reports whether the logs lack something that happened.
func (s *site) logsBehind(ctx context.Context) (bool, error) {
	size, err := s.catalog.LogSize(ctx, catalog.Events)
	if err != nil {
		return false, storage(err)
	}
	serial, err := s.catalog.Serial(ctx)
	if err != nil || size < serial {
		return true, storage(err)
	}
	pages, err := s.catalog.LogSize(ctx, catalog.Pages)
	if err != nil {
		return false, storage(err)
	}
	leaves, err := s.catalog.PageLeaves(ctx)
	if err != nil || pages < leaves {
		return true, storage(err)
	}
	if !s.PublishLog {
		return !s.joined && s.exists(layout.Log), nil
	}
	signed, err := s.readCheckpoint()
	if err != nil {
		return true, nil // it is made anew
	}
	return signed.Size != size || signed.pages.Size != pages, nil
}

// A checkpoint is what the logs were when it was signed.
type checkpoint struct {
	tilelog.Checkpoint
	pages record.PagesRoot
}

// An unprovenError says why nobody can know whether this site has signed what is
// published as its checkpoint: its key may be lost, or not readable.
type unprovenError struct{ why error }

func (e *unprovenError) Error() string { return e.why.Error() }

// readCheckpoint reads the checkpoint that is published. If no key of this site is known
// to have signed it, be it one that was replaced, the error is an [unprovenError], and c
// is what the checkpoint claims. An error that matches [fs.ErrNotExist] means that there
// is none.
func (s *site) readCheckpoint() (c checkpoint, err error) {
	data, err := s.readPublished(layout.LogCheckpoint, tilelog.MaxCheckpoint)
	if err != nil {
		return c, err
	}
	keys, why := s.ownVerifiers()
	if why == nil {
		var signed *note.Note
		if c.Checkpoint, signed, why = tilelog.Open(data, keys.known); why == nil {
			why = keys.mayHaveSigned(c.Checkpoint, signed.Sigs)
		}
	}
	if why != nil {
		if c, err = parseClaim(data); err != nil {
			return checkpoint{}, err
		}
		return c, &unprovenError{why}
	}
	c.pages, err = record.ParsePagesRoot(c.Checkpoint)
	return c, err
}

// readPublished reads a file of the published log, which may be anybody's: so many bytes
// at most.
func (s *site) readPublished(path string, largest int64) ([]byte, error) {
	f, err := s.openRegular(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, largest+1))
	if err == nil && int64(len(data)) > largest {
		err = fmt.Errorf("%s: has more than %d bytes", f.Name(), largest)
	}
	return data, err
}

// ownVerifiers are the keys that a site signs with or has signed with.
type ownVerifiers struct {
	known note.Verifiers
	until map[uint32]int64 // by the hash of a key that was replaced: the last serial under it
}

// mayHaveSigned refuses a checkpoint that only keys have signed which were given up before
// it could be: whoever has such a key, perhaps the reason to give it up, could have the
// site take over a history of his own.
func (v *ownVerifiers) mayHaveSigned(c tilelog.Checkpoint, by []note.Signature) error {
	for _, sig := range by {
		if last, replaced := v.until[sig.Hash]; !replaced || c.Size <= last {
			return nil
		}
	}
	return fmt.Errorf("checkpoint of %d events: signed by a key that was replaced at event %d", c.Size, v.until[by[0].Hash])
}

// ownVerifiers gives the keys that the site signs with or has signed with.
func (s *site) ownVerifiers() (*ownVerifiers, error) {
	own, err := s.Keys().Own()
	if err != nil {
		return nil, err
	}
	statements, err := s.Keys().Rotations()
	if err != nil {
		return nil, err
	}
	list, until := []note.Verifier{own.Key().Note()}, map[uint32]int64{}
	for _, statement := range statements {
		r, err := trust.ParseRotation(statement)
		if err != nil {
			return nil, err
		}
		old, err := trust.ParseKey(r.Old)
		if err != nil {
			return nil, err
		}
		list = append(list, old.Note())
		until[old.Hash] = r.Serial
	}
	return &ownVerifiers{note.VerifierList(list...), until}, nil
}

// publishLogs publishes the logs as the catalog has them: what is new of them, or all
// that there is anew, then the checkpoint. What keeps them from being published is told
// in the report, and done is false then.
func (s *site) publishLogs(ctx context.Context, turn *publish.Turn, anew bool) (done bool, err error) {
	if !s.PublishLog {
		return true, s.removeLog(ctx, turn)
	}
	before, err := s.readCheckpoint()
	_, unproven := errors.AsType[*unprovenError](err)
	if isStorage(err) {
		return false, storage(err) // what is there may be more than the catalog knows
	}
	if unproven && !s.seenBefore && s.opts.AllowRemovals {
		// Somebody has said that the site begins anew, and it has no key that the log of
		// the former one counts for.
		if err := s.removeLog(ctx, turn); err != nil {
			return false, err
		}
		before, unproven = checkpoint{}, false
	}
	if unproven && s.joined {
		s.report.problem(plan.Incomplete, layout.LogCheckpoint, "the next build tells more", "the log is as it was, because it may not be this site's: %v", err)
		return false, nil
	}
	own, err := s.ownKey()
	if err == nil {
		err = s.mustBeLastKey(ctx, own)
	}
	var remembered checkpoint
	if err == nil {
		if remembered, err = s.remembered(); err != nil {
			err = fmt.Errorf("%w; if %s is the newest that the site has signed, remove %s", err, s.file(layout.LogCheckpoint), s.signedFile())
		}
	}
	switch {
	case isStorage(err):
		return false, storage(err)
	case errors.Is(err, ErrAlarm):
		s.report.problem(plan.Alarm, layout.LogCheckpoint, Hint(err), "%v; the log stays as it is", err)
		return false, nil
	case err != nil:
		s.report.problem(plan.Incomplete, layout.LogCheckpoint, "", "the log is as it was, because nobody can sign it: %v", err)
		return false, nil
	}
	now, err := s.logsNow(ctx, own)
	if err != nil {
		return false, err
	}
	if forked, err := s.forked(ctx, before, now, !unproven); err != nil || forked {
		return false, err
	}
	if forked, err := s.forked(ctx, remembered, now, false); err != nil || forked {
		return false, err
	}
	if unproven {
		s.warn(layout.LogCheckpoint, "put the former key back from a backup; if it is lost, have everybody who trusts it trust the new one by hand",
			"the log that is published was signed by another key than the site has; from now on it is signed by %s", own.Key().ID())
	}
	if unproven || anew {
		before = checkpoint{} // nobody knows what the tiles are
	}
	b := turn.Batch()
	defer b.Close()
	err = s.putLog(ctx, b, catalog.Events, layout.EventTile, before.Size, now.Size)
	if err == nil {
		err = s.putLog(ctx, b, catalog.Pages, layout.PageTile, before.pages.Size, now.pages.Size)
	}
	if errors.Is(err, errAlteredPast) {
		s.report.problem(plan.Alarm, layout.Log, `"nestgen verify" tells more; put a catalog back from a backup that is whole: it takes over from the published log what happened since`,
			"%v; the log stays as it is", err)
		return false, nil
	}
	if err != nil {
		return false, storage(err)
	}
	if err := s.putKeys(b); err != nil {
		return false, storage(err)
	}
	signed, err := s.sign(own, now)
	if err != nil {
		return false, err
	}
	if err := b.Put(layout.LogCheckpoint, signed); err != nil {
		return false, storage(err)
	}
	_, err = b.Publish(ctx)
	return err == nil, storage(err)
}

// logsNow gives what the logs are in the catalog, as a key would sign it.
func (s *site) logsNow(ctx context.Context, own *trust.Own) (now checkpoint, err error) {
	now.Origin = own.Name
	if now.Size, now.Root, err = s.logRoot(ctx, catalog.Events); err != nil {
		return now, err
	}
	if now.pages.Size, now.pages.Root, err = s.logRoot(ctx, catalog.Pages); err != nil {
		return now, err
	}
	now.Extensions = []string{now.pages.String()}
	return now, nil
}

// sign signs what the logs are, and remembers that before anybody can see it: all of it is
// in the catalog already. A run that dies in between has remembered what nobody has seen,
// and the next one publishes that. The other way round it could have shown what the site
// does not remember.
func (s *site) sign(own *trust.Own, now checkpoint) ([]byte, error) {
	signed, err := tilelog.Sign(now.Checkpoint, own.Signer)
	if err != nil {
		return nil, err
	}
	if last, err := s.Keys().Signed(); err == nil && bytes.Equal(last, signed) {
		return signed, nil
	}
	return signed, storage(s.Keys().Remember(signed))
}

// remembered gives what the site has signed last; the zero checkpoint if it has signed
// nothing. Who has signed is no question: nobody else writes there.
func (s *site) remembered() (c checkpoint, err error) {
	data, err := s.Keys().Signed()
	if err != nil || data == nil {
		return c, err
	}
	if c, err = parseClaim(data); err != nil {
		return checkpoint{}, fmt.Errorf("%s: %w", s.signedFile(), err)
	}
	return c, nil
}

// signedFile is where the site remembers what it has signed.
func (s *site) signedFile() string { return filepath.Join(s.State, "keys", "signed") }

// parseClaim reads a checkpoint without looking at who has signed it.
func parseClaim(data []byte) (c checkpoint, err error) {
	text, _, _ := strings.Cut(string(data), "\n\n")
	if c.Checkpoint, err = tilelog.ParseCheckpoint(text + "\n"); err == nil {
		c.pages, err = record.ParsePagesRoot(c.Checkpoint)
	}
	return c, err
}

// removeLog has all go that is published of the logs.
func (s *site) removeLog(ctx context.Context, turn *publish.Turn) error {
	if !s.exists(layout.Log) {
		return nil
	}
	b := turn.Batch()
	defer b.Close()
	if err := b.RemoveFolder(layout.Log); err != nil {
		return storage(err)
	}
	_, err := b.Publish(ctx)
	return storage(err)
}

// putKeys stages the statements by which the key of the site came to be another.
func (s *site) putKeys(b *publish.Batch) error {
	statements, err := s.Keys().Rotations()
	if err != nil {
		return err
	}
	if len(statements) == 0 {
		if s.exists(layout.LogKeys) {
			return b.Remove(layout.LogKeys)
		}
		return nil
	}
	return b.Put(layout.LogKeys, trust.JoinRotations(statements))
}

func (s *site) logRoot(ctx context.Context, log catalog.LogName) (size int64, root tilelog.Hash, err error) {
	if size, err = s.catalog.LogSize(ctx, log); err != nil {
		return 0, root, storage(err)
	}
	root, err = tilelog.Root(size, s.catalog.Tiles(ctx, log))
	return size, root, storage(err)
}

// forked reports whether the logs do not begin with those that were signed, as with a
// catalog from a backup, and raises the alarm. Nothing is signed then that contradicts
// what was. There is a way back to what is published and was signed by this site.
func (s *site) forked(ctx context.Context, before, now checkpoint, published bool) (bool, error) {
	forked, err := s.isFork(ctx, before, now)
	if err != nil || !forked {
		return false, err
	}
	what, hint := "signed", "put the newest catalog back; if it is lost, "+newLogHint
	if published {
		what = "published"
		away := s.catalogFile() + "*"
		if last, err := s.Keys().Signed(); err == nil && last != nil {
			away += " " + s.signedFile() // it may be of the other history
		}
		hint = fmt.Sprintf(`put the newest catalog back; if it is lost, "mkdir %[1]s && mv %[2]s %[1]s/" and "nestgen build" make one from the published log, and what came since comes again; if that fails, %[3]s`,
			filepath.Join(s.State, "forked"), away, newLogHint)
	}
	s.report.problem(plan.Alarm, layout.LogCheckpoint, hint,
		"the history that was %s has %d events, and the catalog does not go on from there, as one from a backup does not; the log stays as it is", what, before.Size)
	return true, nil
}

// isFork reports whether the logs do not go on from what they were.
func (s *site) isFork(ctx context.Context, before, now checkpoint) (bool, error) {
	forked, err := s.isForked(ctx, catalog.Events, before.Size, before.Root, now.Size)
	if err == nil && !forked {
		forked, err = s.isForked(ctx, catalog.Pages, before.pages.Size, before.pages.Root, now.pages.Size)
	}
	return forked, storage(err)
}

// isForked reports whether a log of the catalog, which has a size now, is not one that
// goes on from a former state.
func (s *site) isForked(ctx context.Context, log catalog.LogName, size int64, root tilelog.Hash, now int64) (bool, error) {
	if size == 0 || size > now {
		return size > now, nil
	}
	then, err := tilelog.Root(size, s.catalog.Tiles(ctx, log))
	return then != root, err
}

// putLog stages the files of a log that are new since it had some size, and has partial
// tiles go that nobody asks for any more.
func (s *site) putLog(ctx context.Context, b *publish.Batch, log catalog.LogName, at func(string) string, before, now int64) error {
	for _, t := range tilelog.Published(before, now) {
		data, err := s.tile(ctx, log, t)
		if err != nil {
			return err
		}
		if err := b.Put(at(t.Path()), data); err != nil {
			return err
		}
	}
	if before == now {
		return nil // what is there is of this one and of one before
	}
	return s.removeFormer(b, at, before, now)
}

// keptWidths is how many partial tiles a folder of them keeps, besides those of the
// checkpoint that is published and of the one before: who has just read a checkpoint can
// still read what belongs to it, also while requests make one after the other (C2SP
// tlog-tiles, Partial Tiles).
const keptWidths = 4

// removeFormer has partial tiles go that are neither of a log of one of two sizes nor among
// the last ones of the tile at its end. It looks at what is there, where logs end and
// have ended, so that what a run leaves that dies goes with a later one.
func (s *site) removeFormer(b *publish.Batch, at func(string) string, before, now int64) error {
	keep, ends := map[string]bool{}, map[string]bool{}
	for _, size := range []int64{before, now} {
		for _, t := range tilelog.Partial(size) {
			keep[at(t.Path())] = true
		}
		for _, t := range tilelog.Last(size) {
			ends[path.Dir(at(t.Path()))] = true
		}
	}
	last := map[string]int{} // the folders at the end, and how many more may stay there
	for _, t := range tilelog.Partial(now) {
		last[path.Dir(at(t.Path()))] = keptWidths
	}
	for folder := range ends {
		tiles, err := s.namesIn(folder)
		if err != nil {
			return err
		}
		for _, tile := range tiles {
			partial := folder + "/" + tile
			if !strings.HasSuffix(tile, ".p") {
				continue
			}
			widths, err := s.namesIn(partial)
			if err != nil {
				return err
			}
			slices.SortFunc(widths, func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(b, a)) })
			for _, width := range widths {
				name := partial + "/" + width
				if keep[name] {
					continue
				}
				if last[partial]--; last[partial] >= 0 {
					continue
				}
				if err := b.Remove(name); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// namesIn gives the names in a folder of the site, none if there is no such folder.
func (s *site) namesIn(folder string) ([]string, error) {
	entries, err := os.ReadDir(s.file(folder))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
		return nil, nil
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, err
}

// tile gives the bytes of a file of a log.
func (s *site) tile(ctx context.Context, log catalog.LogName, t tilelog.Tile) ([]byte, error) {
	if t.Level >= 0 {
		hashes, err := s.catalog.Tiles(ctx, log).Tile(t.Level, t.N)
		if err != nil {
			return nil, err
		}
		if len(hashes) < t.Width*len(tilelog.Hash{}) {
			return nil, fmt.Errorf("log of %s: %s is not whole in the catalog", log, t.Path())
		}
		return hashes[:t.Width*len(tilelog.Hash{})], nil
	}
	from := t.N * tilelog.TileWidth
	var data, own []byte
	for leaf, err := range s.leaves(ctx, log, from, from+int64(t.Width)) {
		if err == nil {
			data, err = tilelog.AppendEntry(data, leaf)
		}
		if err != nil {
			return nil, err
		}
		hash := tilelog.LeafHash(leaf)
		own = append(own, hash[:]...)
	}
	kept, err := s.catalog.Tiles(ctx, log).Tile(0, t.N)
	if err != nil {
		return nil, err
	}
	if !bytes.HasPrefix(kept, own) || len(own) != t.Width*len(tilelog.Hash{}) {
		return nil, fmt.Errorf("log of %s: entries %d to %d: %w", log, from+1, from+int64(t.Width), errAlteredPast)
	}
	return data, nil
}

// errAlteredPast says that entries of a log are not those in the catalog that were
// entered once. What is published of them is right, and what the catalog has is not.
var errAlteredPast = errors.New("the catalog has others than those that were entered")
