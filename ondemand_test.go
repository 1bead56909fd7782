package nestgen

import (
	"errors"
	"testing"

	"nestgen/fetch/fetchtest"
	"nestgen/packaging"
)

// A name that has an upstream is sent to no other one, which would hear of it and
// might have something else under it.
func TestRedirectToTheUpstreamOfAProject(t *testing.T) {
	first := fetchtest.New(t, wheelFile(t, "moved", "1.0"))
	second := fetchtest.New(t, wheelFile(t, "owned", "1.0"), wheelFile(t, "given", "1.0"))
	given := wheelFile(t, "given", "1.0")
	w := lazy(t, "redirect", first, second)
	w.Projects = []ProjectConfig{{Name: "Bound", Upstream: "up2"}, {Name: "moved", Upstream: "up2"}}
	w.write("allowlist.txt", "owned\ngiven @ "+second.URL+second.Path(given.Filename)+"#sha256="+fetchtest.SHA256(given.Data)+"\n")
	w.build(0)
	for n, up := range map[string]*fetchtest.Server{"owned": second, "bound": second, "moved": second, "anything": first} {
		err := w.join().Project(t.Context(), packaging.Name(n))
		w.cause(err, Elsewhere)
		if r, ok := errors.AsType[*Refusal](err); ok && r.To != up.URL+fetchtest.Index+n+"/" {
			t.Errorf("%s: to %s", n, r.To)
		}
	}
	// What came from an address of the allowlist has no upstream at all.
	w.cause(w.join().Project(t.Context(), "given"), NotHere)
	w.Upstreams = w.Upstreams[:1]
	w.Projects = nil
	w.cause(w.join().Project(t.Context(), "owned"), NotHere)
}

// What the allowlist gives an address of, and nothing else, is found there. No
// index is asked for the name, which may be a private one: neither before the
// first build nor after it.
func TestNamesOfAddressesStayHere(t *testing.T) {
	private := wheelFile(t, "given", "1.0")
	intranet := fetchtest.New(t, private)
	public := fetchtest.New(t, wheelFile(t, "given", "9.9"), wheelFile(t, "repo", "9.9"), wheelFile(t, "both", "9.9"))
	w := lazy(t, "fetch", public)
	w.Projects = []ProjectConfig{{Name: "both", Sources: "both"}}
	w.write("allowlist.txt", "given @ "+intranet.URL+intranet.Path(private.Filename)+"#sha256="+fetchtest.SHA256(private.Data)+
		"\ngit+https://git.example/repo.git#egg=repo\ngit+https://git.example/both.git#egg=both\n")
	w.ask(w.join(), "given", NotHere)
	w.ask(w.join(), "repo", NotHere)
	w.build(0)
	w.remove("state/demand") // nothing is remembered
	w.ask(w.join(), "given", NotHere)
	w.ask(w.join(), "repo", NotHere)
	if r := public.Requests(""); len(r) > 0 {
		t.Errorf("asked outside: %v", r[0].Path)
	}
	w.ask(w.join(), "both", 0) // somebody has said so
}
