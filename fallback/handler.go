package fallback

import (
	"context"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"

	"nestgen"
	"nestgen/access"
	"nestgen/catalog"
	"nestgen/layout"
	"nestgen/packaging"
	"nestgen/serve"
	"nestgen/upload"
)

// A Site is what changes when requests come. [nestgen.Live] is one. Its methods
// are called from several goroutines; errors that are a [nestgen.Refusal] say
// what the client is told, all others are faults that only the log tells.
type Site interface {
	// Project sees to it that the pages of a project are in the tree, if they may
	// come on demand. After nil the tree is what there is to say.
	Project(ctx context.Context, n packaging.Name) error

	// File sees to it that a file of the store is in the tree; path is one of
	// [layout.File] or of a companion. begin, unless it is nil, is called at most
	// once, with the size of the file or -1, and what it gives is written to while
	// the file comes, by one goroutine at a time and never after File is back.
	// After an error nobody takes what was written for the whole file.
	File(ctx context.Context, path string, begin func(size int64) io.Writer) error

	// Stage makes an empty file for an upload. The handler closes it, and
	// removes it if it is still there then.
	Stage(ctx context.Context) (*os.File, error)

	// Upload takes a file in and publishes its project before it is back.
	Upload(ctx context.Context, u nestgen.Uploaded) error

	// Serial, Changes and Serials say what has changed, for mirrors.
	Serial(ctx context.Context) (int64, error)
	Changes(ctx context.Context, after int64) iter.Seq2[catalog.Event, error]
	Serials(ctx context.Context) iter.Seq2[catalog.ProjectSerial, error]
}

// A Sendfile is a way to have the web server send a file of the store.
type Sendfile string

// The ways, as the setting has them. Which one the server understands is never
// guessed: the other one would take the field for one of the answer and send
// the client a path of this machine (contract CGI-9).
const (
	// Stream sends files through the handler. The empty Sendfile does so too.
	Stream Sendfile = "none"

	// XSendfile gives Apache's mod_xsendfile the absolute path of the file.
	XSendfile Sendfile = "x-sendfile"

	// XAccel gives nginx the address of the file below the location Internal,
	// which has to be internal and an alias of the site's folder.
	XAccel Sendfile = "x-accel"
)

// Internal is where nginx finds the site's folder for [XAccel].
const Internal = "/-nest-file/"

// Options are what a [Handler] is made of.
type Options struct {
	// Site is asked for what is missing. Required.
	Site Site

	// Tree is the folder of the published tree. Required.
	Tree string

	// Uploads says that uploads are taken. If false, they are refused.
	Uploads bool

	// Gate gives what is known of who may upload. It is called for each upload
	// and at no other time. If nil, nobody may.
	Gate func() (*access.Gate, error)

	// Caller tells who sends a request. If nil, [access.RequestOf]; behind a
	// gateway it also has to say whom the web server has authenticated, and
	// whether the client has reached that by HTTPS.
	Caller func(*http.Request) access.Request

	// Sendfile is how files of the store are sent. If empty, [Stream].
	Sendfile Sendfile

	// MaxFile is how many bytes an uploaded file may have. If zero, as many as
	// package upload lets through.
	MaxFile int64

	// Log gets a line for each upload and for each request that could not be
	// fulfilled by somebody's fault. If nil, nobody gets them.
	Log *slog.Logger
}

// Configure gives the options that settings stand for. The settings have been
// resolved. Site, Caller and Log are left to the caller.
func Configure(c nestgen.Config) Options {
	return Options{
		Tree:     c.Site,
		Uploads:  c.Uploads != "",
		Gate:     func() (*access.Gate, error) { return gate(c) },
		Sendfile: Sendfile(c.Fallback.Sendfile),
		MaxFile:  int64(c.MaxFile),
	}
}

// gate reads who may upload. The file of the tokens may have changed since the
// last time.
func gate(c nestgen.Config) (*access.Gate, error) {
	g := &access.Gate{TrustRemoteUser: c.Fallback.RemoteUser}
	if c.BaseURL != "" {
		g.Origins = []string{c.BaseURL}
	}
	for _, o := range c.Owners {
		s, err := access.ParseScope(o.Projects)
		if err != nil {
			return nil, err
		}
		g.Owners = append(g.Owners, access.Owner{User: o.User, Scope: s})
	}
	var err error
	g.Tokens, err = access.Load(c.Fallback.Tokens)
	return g, err
}

// A Handler answers requests for a site. It is an [http.Handler].
//
// twine and setup.py show nothing of a refusal but its reason phrase, which the
// server of net/http sends only where [upload.Reasons] stands around the handler.
type Handler struct {
	o    Options
	tree *serve.Site
	root string // o.Tree as an absolute path
}

// New makes a handler. The tree's folder has to be there.
func New(o Options) (*Handler, error) {
	root, err := filepath.Abs(o.Tree)
	if err != nil {
		return nil, err
	}
	tree, err := serve.Open(root)
	if err != nil {
		return nil, err
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Caller == nil {
		o.Caller = access.RequestOf
	}
	if o.Gate == nil {
		o.Gate = func() (*access.Gate, error) { return &access.Gate{}, nil }
	}
	return &Handler{o: o, tree: tree, root: root}, nil
}

// Close gives the tree's folder back.
func (h *Handler) Close() error { return h.tree.Close() }

// ServeHTTP answers one request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name, clear := plain(r.URL.Path)
	switch {
	case clear && (name == "legacy" || name == "legacy/"):
		h.legacy(w, r)
		return
	case r.Method == http.MethodPost && isXML(r.Header) && (name == "" || name == "pypi" || name == "pypi/" || name == "RPC2"):
		h.xmlrpc(w, r)
		return
	case r.Method == http.MethodPost:
		noUploadsHere().Write(w, r)
		return
	case !clear || r.Method != http.MethodGet && r.Method != http.MethodHead:
	default:
		if _, _, ok := layout.ParseFile(name); ok {
			h.file(w, r, name)
			return
		}
		if n, ok := projectOf(name); ok {
			h.page(w, r, name, n)
			return
		}
	}
	h.tree.ServeHTTP(w, r)
}

// noUploadsHere is the answer to a form that was sent to where pages are.
func noUploadsHere() *upload.Problem {
	return &upload.Problem{
		Status: http.StatusMethodNotAllowed,
		Text:   "Nothing is taken at this address: uploads go to /legacy/",
		Allow:  "GET, HEAD",
	}
}
