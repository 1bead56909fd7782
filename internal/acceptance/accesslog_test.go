package acceptance

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"nestgen/accesslog"
	"nestgen/layout"
)

// logForms are the forms of access logs that docs/statistics.md names, as both servers
// have them.
var logForms = map[string][]string{
	"nginx": {
		"access_log %s/combined.log combined;",
		"access_log %s/ranged.log ranged;",
	},
	"Apache": {
		`CustomLog %s/common.log "%%h %%l %%u %%t \"%%r\" %%>s %%b"`,
		`CustomLog %s/combined.log "%%h %%l %%u %%t \"%%r\" %%>s %%O \"%%{Referer}i\" \"%%{User-Agent}i\""`,
		`CustomLog %s/vhost.log "%%v:%%p %%h %%l %%u %%t \"%%r\" %%>s %%O \"%%{Referer}i\" \"%%{User-Agent}i\""`,
		`CustomLog %s/ranged.log "%%h %%l %%u %%t \"%%r\" %%>s %%b \"%%{Referer}i\" \"%%{User-Agent}i\" %%D \"%%{Range}i\""`,
	},
}

// What real servers log of real requests is read as it was meant, whatever a client
// says of itself.
func TestAccessLogsOfServers(t *testing.T) {
	for _, k := range []kind{kinds[0], kinds[2]} {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			logs := sharedDir(t)
			k.edit = func(t *testing.T, conf []byte) []byte {
				var lines []string
				for _, l := range logForms[k.name] {
					lines = append(lines, fmt.Sprintf(l, logs))
				}
				text := strings.Join(lines, "\n") + "\n"
				if k.name == "Apache" {
					return bytes.Replace(conf, []byte("</VirtualHost>"), []byte(text+"</VirtualHost>"), 1)
				}
				head := `log_format ranged '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent" $request_time "$http_range"';` + "\n"
				return append([]byte(head), bytes.Replace(conf, []byte("server {\n"), []byte("server {\n"+text), 1)...)
			}
			tree := newTree(t)
			s := k.start(t, k, tree.Dir)
			began := time.Now().Unix()
			pip := `pip/24.2 {"cpu":"x86_64","distro":{"name":"Ubuntu"},"python":"3.12.3","system":{"name":"Linux","release":"6.8"}}`
			wheel := "/" + tree.Wheel
			requests := []struct {
				method, path, agent, header string
				want                        accesslog.Entry
				download                    bool
			}{
				{method: "GET", path: wheel, agent: pip, want: accesslog.Entry{Status: 200}, download: true},
				{method: "HEAD", path: wheel, agent: pip, want: accesslog.Entry{Status: 200}},
				{method: "GET", path: wheel, agent: pip, header: "bytes=0-9", want: accesslog.Entry{Status: 206}, download: true},
				{method: "GET", path: wheel, agent: pip, header: "bytes=100-", want: accesslog.Entry{Status: 206, Start: 100}},
				{method: "GET", path: wheel, agent: pip, header: "bytes=-100", want: accesslog.Entry{Status: 206, Start: -1}},
				{method: "GET", path: layout.Escape("/" + tree.Plus), agent: `a"b\c 'd' [01/Jan/2000:00:00:00 +0000] "GET / HTTP/1.1" 200 1 \x22` + "\t\xff", want: accesslog.Entry{Status: 200}, download: true},
				{method: "GET", path: "/simple/foo-bar/?a=%22b", agent: "", want: accesslog.Entry{Status: 200}, download: true},
				{method: "GET", path: "/nope/%22%5C", agent: "last/1", want: accesslog.Entry{Status: 404}},
			}
			for _, q := range requests {
				r, err := http.NewRequestWithContext(t.Context(), q.method, s.URL+q.path, nil)
				if err != nil {
					t.Fatal(err)
				}
				r.Header.Set("User-Agent", q.agent)
				// A user name is the client's word as well.
				r.SetBasicAuth(`x" [01/Jan/2000:00:00:00 +0000] "GET / HTTP/1.1`, "secret")
				if q.header != "" {
					r.Header.Set("Range", q.header)
				}
				resp, err := http.DefaultClient.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				if resp.StatusCode != q.want.Status {
					t.Fatalf("%s %s: status %d", q.method, q.path, resp.StatusCode)
				}
			}
			files, _ := filepath.Glob(filepath.Join(logs, "*.log"))
			if len(files) != len(logForms[k.name]) {
				t.Fatalf("logs: %q", files)
			}
			for _, file := range files {
				var data []byte
				for end := time.Now().Add(time.Minute); bytes.Count(data, []byte("\n")) < len(requests); time.Sleep(20 * time.Millisecond) {
					if data, _ = os.ReadFile(file); time.Now().After(end) {
						break // what is missing is told below
					}
				}
				name := filepath.Base(file)
				r := accesslog.NewReader(bytes.NewReader(data))
				for i, q := range requests {
					var e accesslog.Entry
					if err := r.Next(&e); err != nil {
						t.Fatalf("%s: request %d: %v, %d bad, in:\n%s", name, i, err, r.Bad(), data)
					}
					path, _, _ := strings.Cut(q.path, "?")
					switch path {
					case layout.Escape("/" + tree.Plus):
						path = "/" + tree.Plus
					case "/nope/%22%5C":
						path = `/nope/"\`
					}
					if string(e.Method) != q.method || string(e.Path) != path || e.Status != q.want.Status || e.Time < began || e.Time > time.Now().Unix() {
						t.Errorf("%s: request %d: %s %q %d at %d", name, i, e.Method, e.Path, e.Status, e.Time)
					}
					if (q.method == "GET") != (e.Bytes > 0) && name != "combined.log" && name != "vhost.log" { // %O counts the head as well
						t.Errorf("%s: request %d: %d bytes", name, i, e.Bytes)
					}
					// A tab is all the same to Apache's escapes.
					if agent := strings.ReplaceAll(q.agent, "\t", " "); name != "common.log" && strings.ReplaceAll(string(e.Agent), "\t", " ") != agent {
						t.Errorf("%s: request %d: user agent %q, want %q", name, i, e.Agent, agent)
					}
					if name == "ranged.log" && (e.Start != q.want.Start || e.Download() != q.download && e.Status != 404) {
						t.Errorf("%s: request %d: from %d, download %v", name, i, e.Start, e.Download())
					}
				}
				if r.Bad() != 0 {
					t.Errorf("%s: %d bad lines in:\n%s", name, r.Bad(), data)
				}
			}
		})
	}
}
