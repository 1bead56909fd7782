package gateway_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// program builds the program of the tests.
func program(tb testing.TB) string {
	tb.Helper()
	file := filepath.Join(tb.TempDir(), "nest.cgi")
	build := exec.Command("go", "build", "-buildvcs=false", "-o", file, "nestgen/gateway/gatewaytest")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		tb.Fatalf("go build: %v\n%s", err, out)
	}
	return file
}

var gatewayEnvironment = []string{
	"GATEWAY_INTERFACE=CGI/1.1", "SERVER_PROTOCOL=HTTP/1.1", "REQUEST_METHOD=GET", "REQUEST_URI=/plain", "SCRIPT_NAME=/-nest",
	"PATH_INFO=/plain", "QUERY_STRING=", "HTTP_HOST=index.example", "HTTP_ACCEPT=text/html", "REMOTE_ADDR=127.0.0.1", "PATH=/usr/bin:/bin",
}

// A CGI process answers whatever its arguments are, and ends; one of a shell
// says what it is for.
func TestProcess(t *testing.T) {
	file := program(t)
	for _, args := range [][]string{nil, {"--help"}, {"build", "--config=x"}, {"-test.run", "x"}} {
		cmd := exec.Command(file, args...)
		cmd.Env = gatewayEnvironment
		var errs bytes.Buffer
		cmd.Stderr = &errs
		out, err := cmd.Output()
		if want := "Status: 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 11\r\n\r\nGET /plain\n"; err != nil || string(out) != want || errs.Len() > 0 {
			t.Errorf("%q: %q, %v, %q", args, out, err, errs.Bytes())
		}
	}
	cmd := exec.Command(file, "--help")
	cmd.Env = []string{"PATH=/usr/bin:/bin"}
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState.ExitCode() != 2 || !strings.HasPrefix(string(out), "gateway: this program is started by a web server") {
		t.Errorf("from a shell: %q, %v", out, err)
	}
}

// A client that goes away does not kill the process: writing fails, and the
// handler decides.
func TestProcessOutlivesItsClient(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program(t))
	cmd.Env = append([]string{"PATH_INFO=/big", "QUERY_STRING=10000000"}, gatewayEnvironment...)
	for i, v := range cmd.Env[2:] {
		if strings.HasPrefix(v, "PATH_INFO=") || strings.HasPrefix(v, "QUERY_STRING=") {
			cmd.Env[2+i] = "UNUSED="
		}
	}
	var errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = w, &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	if _, err := r.Read(make([]byte, 10)); err != nil {
		t.Error(err)
	}
	r.Close()
	if err := cmd.Wait(); cmd.ProcessState.ExitCode() != 1 || errs.Len() > 0 {
		t.Errorf("%v, %q", err, errs.Bytes())
	}
}

// From exec to exit.
func BenchmarkProcess(b *testing.B) {
	file := program(b)
	for b.Loop() {
		cmd := exec.Command(file)
		cmd.Env = gatewayEnvironment
		if out, err := cmd.Output(); err != nil || len(out) < 50 {
			b.Fatal(err)
		}
	}
}
