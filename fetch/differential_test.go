package fetch_test

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"

	"nestgen/fetch"
)

// referee reads pages, one a line in base64, and says of each what Python's
// json module makes of it: the file names, or that it is refused. It is made as
// strict as RFC 8259, and refuses a key that comes twice.
const referee = `
import base64, json, sys
def once(pairs):
    d = dict(pairs)
    if len(d) != len(pairs):
        raise ValueError("key twice")
    return d
def no(s):
    raise ValueError(s)
for line in sys.stdin:
    try:
        d = json.loads(base64.b64decode(line).decode("utf-8"), object_pairs_hook=once, parse_constant=no)
        names = [f.get("filename") if isinstance(f, dict) else None for f in d["files"]]
        print(json.dumps({"ok": True, "names": [n for n in names if isinstance(n, str)]}))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        print(json.dumps({"ok": False}))
    sys.stdout.flush()
`

// What Python refuses is refused, and no file is seen that Python does not see
// (reliability.md §3 row 13).
func TestReadJSONAgainstPython(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3 to compare with")
	}
	cmd := exec.Command(python, "-c", referee)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer in.Close()
	answers := bufio.NewReader(out)
	seed := string(jsonOf(2))
	tokens := []string{
		`"filename"`, `"url"`, `"FILENAME"`, `"files"`, `"meta"`, `"hashes"`, `{`, `}`, `[`, `]`, `:`, `,`, `null`, `true`, `1e5`, `-0`, `01`, `NaN`,
		`"\u0066iles"`, `"\ud800"`, `"a-1.0.zip"`, `""`, "\xff", "\x00", "é", `\`, ` `, "\ufeff", `"size":1,`,
	}
	r := rand.New(rand.NewPCG(1, 2))
	both, refused := 0, 0
	for i := range 10000 {
		page := seed
		for range 1 + i%3 {
			at := r.IntN(len(page))
			end := min(len(page), at+r.IntN(12))
			switch r.IntN(3) {
			case 0: // before a token that is there
				if j := strings.IndexAny(page[at:], `{}[]:,"`); j >= 0 {
					at, end = at+j, at+j+r.IntN(2)
				}
			case 1:
				end = at
			}
			page = page[:at] + tokens[r.IntN(len(tokens))] + page[end:]
		}
		fmt.Fprintln(in, base64.StdEncoding.EncodeToString([]byte(page)))
		line, err := answers.ReadBytes('\n')
		if err != nil {
			t.Fatal(err)
		}
		var python struct {
			OK    bool     `json:"ok"`
			Names []string `json:"names"`
		}
		if err := json.Unmarshal(line, &python); err != nil {
			t.Fatal(err)
		}
		l, err := fetch.ReadJSON([]byte(page), base)
		if err != nil {
			refused++
			continue
		}
		if !python.OK {
			t.Fatalf("Python refuses what was read: %q", page)
		}
		seen := map[string]bool{}
		for _, n := range python.Names {
			seen[n] = true
		}
		for _, o := range l.Offers {
			if !seen[o.Filename] {
				t.Fatalf("Python does not see file %q: %q", o.Filename, page)
			}
		}
		both++
	}
	if both < 500 || refused < 500 {
		t.Errorf("%d pages were read, %d refused: the comparison says little", both, refused)
	}
}
