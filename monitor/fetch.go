package monitor

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"iter"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/crypto/blake2b"

	"nestgen/catalog"
)

// maxUnanswered is how much the server may leave unanswered before nothing more is asked.
const maxUnanswered = 16

// wholeDocument is from how many bytes on a page is held by itself.
const wholeDocument = 8 << 20

// A task is a file of the tree to prove.
type task struct {
	path   string
	size   int64          // -1 if it is not known
	limit  int64          // what it may have, if the size is not known
	sha256 catalog.Digest // zero if it is not known
	blake  catalog.Digest // zero if it is not looked at

	// hidden is what is wrong if there is anything; nil for a file that has to be there.
	hidden *Finding

	page  bool
	plain catalog.Page // what it is the compressed sibling of

	// read looks into a page while it comes, whose bytes are not known to be right yet.
	// It gives what the page says against the history.
	read func(page io.Reader) (wrong string, err error)

	// since is the serial that what read says depends on.
	since int64
}

func (t *task) most() int64 {
	if t.size >= 0 {
		return t.size
	}
	return t.limit
}

// A result is what came of a task.
type result struct {
	task  task
	bytes int64

	// Not more than one of these is there.
	finding      *Finding
	unanswered   string
	notReachable string

	// compressedAnew says that the finding is a compressed copy that is not the one that
	// was published, but gives the same page; uncompressed that the server does not have
	// it, and sends the page as it is.
	compressedAnew, uncompressed bool
}

// A received is what came for a request.
type received struct {
	sha256, blake catalog.Digest
	size          int64
	tooLong       bool
	encoded       bool
	wrong         string // what was read of it
	readErr       error
	data          []byte // of a compressed page
}

// receive asks for a file and reads it, and never more than it may have.
func (v *verification) receive(ctx context.Context, r request, t *task) (got received, err error) {
	a, err := v.source.get(ctx, r, t.most())
	if err != nil {
		return got, err
	}
	defer a.Close()
	got.encoded = a.encoded
	most := t.most()
	for _, p := range v.pagesAt(r) {
		most = max(most, p.Size) // it may have another form of the page there
	}
	if r.gzip && a.encoded {
		most += t.plain.Size + 1<<10 // somebody may have compressed it anew
	}
	sum := sha256.New()
	var blake hash.Hash
	w := io.Writer(sum)
	if !t.blake.IsZero() {
		if blake, err = blake2b.New256(nil); err != nil {
			return got, err
		}
		w = io.MultiWriter(sum, blake)
	}
	counted := &counting{w: w}
	body := io.TeeReader(io.LimitReader(a, most+1), counted)
	switch {
	case r.gzip && a.encoded:
		if got.data, err = io.ReadAll(body); err != nil {
			return got, err
		}
		got.wrong, got.readErr = t.read(bytes.NewReader(got.data))
	case t.read != nil:
		got.wrong, got.readErr = t.read(body)
	}
	if _, err := io.Copy(io.Discard, body); err != nil {
		return got, err
	}
	got.size, got.tooLong = counted.n, counted.n > most || t.size < 0 && counted.n > t.limit
	sum.Sum(got.sha256[:0])
	if blake != nil {
		blake.Sum(got.blake[:0])
	}
	return got, nil
}

type counting struct {
	w io.Writer
	n int64
}

func (c *counting) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	return c.w.Write(p)
}

// fault says what is wrong with what came; empty if nothing is.
func (t *task) fault(got *received) string {
	switch {
	case got.tooLong:
		return fmt.Sprintf("it has more than %d bytes", t.most())
	case t.size >= 0 && got.size != t.size:
		return fmt.Sprintf("it has %d bytes, not %d", got.size, t.size)
	case !t.sha256.IsZero() && got.sha256 != t.sha256:
		return fmt.Sprintf("its sha256 is %s, not %s", got.sha256, t.sha256)
	case !t.blake.IsZero() && got.blake != t.blake:
		return fmt.Sprintf("its BLAKE2b is %s, not %s", got.blake, t.blake)
	}
	return ""
}

// prove asks for a file in every way until it is proven.
func (v *verification) prove(ctx context.Context, t task) result {
	kind := Store
	if t.page {
		kind = Served
	}
	res := result{task: t}
	find := func(k Kind, text string) result {
		res.finding = &Finding{k, t.path, text, k.Means()}
		return res
	}
	if t.hidden != nil {
		return v.proveHidden(ctx, res)
	}
	if t.read != nil && t.size > wholeDocument {
		v.large.Lock()
		defer v.large.Unlock()
	}
	fault, absent, forged := "", "", ""
	unsent, again := false, false
	for _, r := range v.source.ways(t.path) {
		got, err := v.receive(ctx, r, &t)
		var no *refusal
		switch {
		case errors.Is(err, fs.ErrNotExist):
			absent = "it is not there"
			continue
		case errors.As(err, &no):
			absent = no.text
			continue
		case err != nil:
			res.unanswered = err.Error()
			return res
		}
		ofIt, known := v.publishedAt(r, &got)
		if forged == "" && known && !ofIt {
			forged = fmt.Sprintf("what stands at /%s is no page that was published there", r.path)
		}
		if r.gzip && !got.encoded {
			unsent = true // the server has its own mind about what it compresses
			continue
		}
		if wrong := t.fault(&got); wrong != "" {
			if fault == "" && ofIt && !got.encoded {
				absent = fmt.Sprintf("another form of the page stands at /%s, and it has no other address", r.path)
				continue
			}
			if fault == "" {
				fault = wrong
			}
			again = again || r.gzip && unpacksTo(got.data, t.plain)
			continue
		}
		if l, ok := v.source.(interface{ learn(string, request) }); ok {
			l.learn(t.path, r)
		}
		if forged != "" {
			return find(kind, forged) // installers ask for the folder, and not for its file
		}
		res.bytes = got.size
		if _, isCopy := plainOf(t.path); t.page && isCopy && r.gzip {
			v.copies.sent.Store(true)
		} else if t.page && isCopy {
			v.copies.stored.Store(true)
		}
		switch {
		case got.readErr != nil:
			return find(Index, "it cannot be read: "+got.readErr.Error())
		case got.wrong != "":
			return find(Index, got.wrong)
		}
		return res
	}
	switch {
	case fault != "":
		res.compressedAnew = again
		return find(kind, fault)
	case unsent:
		res.uncompressed = true
	case oddVersion(t.path):
		res.notReachable = absent + ", as with servers that have no address for the release"
		return res
	}
	return find(kind, absent)
}

// proveHidden asks for a file that nobody is to have, whatever else may stand in its place.
func (v *verification) proveHidden(ctx context.Context, res result) result {
	for _, r := range v.source.ways(res.task.path) {
		switch a, err := v.source.get(ctx, r, 0); {
		case err == nil:
			a.Close()
			res.finding = res.task.hidden
			return res
		case !denied(err):
			res.unanswered = err.Error()
			return res
		}
	}
	return res
}

// pagesAt gives the pages that were published for a folder, of which a server has one
// there or chooses one; none for what is no folder.
func (v *verification) pagesAt(r request) (all []catalog.Page) {
	if r.path != "" && !strings.HasSuffix(r.path, "/") {
		return nil
	}
	for _, name := range []string{"index.html", "index.html.gz", "index.v1_json", "index.v1_json.gz"} {
		if p, ok := v.pages[r.path+name]; ok {
			all = append(all, p.Page)
		}
	}
	return all
}

// publishedAt reports whether what came for a folder is one of the pages that were published
// for it; known is false for what is no folder.
func (v *verification) publishedAt(r request, got *received) (is, known bool) {
	all := v.pagesAt(r)
	return slices.ContainsFunc(all, func(p catalog.Page) bool {
		return got.size == p.Size && got.sha256 == p.SHA256 || got.encoded && unpacksTo(got.data, p)
	}), len(all) > 0
}

// unpacksTo reports whether a compressed page is another form of the page.
func unpacksTo(data []byte, page catalog.Page) bool {
	wrong, err := unpacked(bytes.NewReader(data), page)
	return wrong == "" && err == nil
}

// run proves many files at once. It gives what is not proven, in the order of the paths.
func (v *verification) run(ctx context.Context, tasks iter.Seq[task]) ([]result, error) {
	var (
		mu     sync.Mutex
		bad    []result
		silent atomic.Int64
		all    sync.WaitGroup
	)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	queue := make(chan task)
	for range v.options.jobs() {
		all.Go(func() {
			for t := range queue {
				if v.isProven(&t) {
					v.progress.Step(1, 0)
					continue
				}
				res := v.prove(ctx, t)
				v.progress.Step(1, res.bytes)
				mu.Lock()
				if res.finding == nil && res.unanswered == "" && res.notReachable == "" {
					v.noteProven(&res)
				} else {
					bad = append(bad, res)
				}
				mu.Unlock()
				if res.unanswered != "" && silent.Add(1) == maxUnanswered {
					cancel()
				}
			}
		})
	}
	for t := range tasks {
		select {
		case queue <- t:
			continue
		case <-ctx.Done():
		}
		break
	}
	close(queue)
	all.Wait()
	sortResults(bad)
	return bad, nil
}
