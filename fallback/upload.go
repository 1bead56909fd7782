package fallback

import (
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"

	"nestgen"
	"nestgen/access"
	"nestgen/upload"
)

// legacy answers a request to the address of uploads, with and without its slash
// alike: no client follows a redirect with a file (contract UP-1).
func (h *Handler) legacy(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		// Only the classifiers can be read here, and need no body.
		if _, err := upload.Read(r, nil, upload.Limits{}); err != nil {
			p, _ := problem(err)
			p.Write(w, r)
			return
		}
		upload.WriteOK(w, "")
		return
	}
	t := &taking{Handler: h, r: r, from: addressOf(r)}
	defer t.discard()
	if err := t.take(); err != nil {
		t.refuse(w, err)
		return
	}
	upload.WriteOK(w, "")
}

// A taking is one request that brings something.
type taking struct {
	*Handler
	r    *http.Request
	from string

	who   access.Who
	stage *os.File
	form  *upload.Form // nil until it is read
}

// take does what the request asks for.
func (t *taking) take() error {
	if !t.o.Uploads {
		return upload.Forbidden("This index takes no uploads")
	}
	gate, err := t.o.Gate()
	if err != nil {
		return err
	}
	// Nothing of the body is read for somebody who may not.
	if t.who, err = gate.Admit(t.o.Caller(t.r)); err != nil {
		return err
	}
	t.form, err = upload.Read(t.r, t.open, upload.Limits{File: t.o.MaxFile})
	if err != nil {
		return err
	}
	if t.form.Action == upload.DocUpload {
		return upload.NoDocs()
	}
	if t.form.Project != "" {
		if err := t.who.May(t.form.Project); err != nil {
			return err
		}
	}
	if t.form.Action == upload.FileUpload {
		if err := t.file(); err != nil {
			return err
		}
	}
	t.o.Log.LogAttrs(t.r.Context(), slog.LevelInfo, "upload", t.attrs()...)
	return nil
}

// open makes the stage.
func (t *taking) open() (upload.Stage, error) {
	f, err := t.o.Site.Stage(t.r.Context())
	if err != nil {
		return nil, err
	}
	t.stage = f
	return f, nil
}

// file hands the uploaded file on.
func (t *taking) file() error {
	err := t.o.Site.Upload(t.r.Context(), nestgen.Uploaded{
		File: t.stage, Filename: t.form.Filename, Project: t.form.Project, SHA256: t.form.Digests.SHA256,
		Signature: t.form.Signature, Attestations: t.form.Attestations,
		By: t.who.String() + " from " + t.from,
	})
	if refusal, ok := errors.AsType[*nestgen.Refusal](err); ok && refusal.Cause == nestgen.Exists {
		p := upload.Exists(t.form.Filename, refusal.Text)
		p.Err = refusal.Err
		return p
	}
	return err
}

// refuse answers, and notes why and to whom.
func (t *taking) refuse(w http.ResponseWriter, err error) {
	p, after := problem(err)
	attrs := append(t.attrs(), slog.Int("status", p.Status), slog.String("reason", p.Text))
	if _, said := errors.AsType[*upload.Problem](err); !said || p.Err != nil {
		cause := err
		if said {
			cause = p.Err
		}
		attrs = append(attrs, slog.Any("err", cause))
	}
	t.o.Log.LogAttrs(t.r.Context(), max(slog.LevelWarn, level(p.Status, err)), "upload refused", attrs...)
	t.answer(w, t.r, p, after)
}

// attrs are what a log says of the request: who, from where, and what.
func (t *taking) attrs() []slog.Attr {
	attrs := []slog.Attr{slog.String("who", t.who.String()), slog.String("from", t.from)}
	if t.form == nil {
		return attrs
	}
	attrs = append(attrs, slog.String("action", t.form.Action.String()), slog.String("project", string(t.form.Project)))
	if t.form.Action == upload.FileUpload {
		attrs = append(attrs, slog.String("file", t.form.Filename), slog.Int64("bytes", t.form.Size), slog.String("sha256", t.form.Digests.SHA256))
	}
	if len(t.form.Notes) > 0 {
		attrs = append(attrs, slog.Any("notes", t.form.Notes))
	}
	return attrs
}

// discard sees to it that nothing of the stage stays, whatever became of it. A
// file that was taken in has its name there no more.
func (t *taking) discard() {
	if t.stage == nil {
		return
	}
	if err := os.Remove(t.stage.Name()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.o.Log.Error("could not remove an upload", "err", err)
	}
	_ = t.stage.Close() // nobody reads it again
}

// addressOf gives the address that a request comes from, without its port.
func addressOf(r *http.Request) string {
	if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		return host
	}
	return "an unknown address"
}
