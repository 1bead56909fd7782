package publish

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// Both ways of opening agree, as a kernel before 5.6 or a container's filter
// may leave only the second.
func TestOpenBeneath(t *testing.T) {
	dir := t.TempDir()
	for _, d := range []string{"root/a/b", "outside"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range []string{"root/a/b/file", "outside/file"} {
		if err := os.WriteFile(filepath.Join(dir, f), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for link, to := range map[string]string{"root/out": "../outside", "root/abs": "/etc", "root/in": "a", "root/a/b/link": "file", "root/loop": "loop"} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	root, err := unix.Open(filepath.Join(dir, "root"), unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(root)
	tests := []struct {
		path  string
		flags int
		ok    bool
	}{
		{"a", unix.O_PATH | unix.O_DIRECTORY, true},
		{"a/b", unix.O_RDONLY | unix.O_DIRECTORY, true},
		{"a/b/file", unix.O_RDONLY, true},
		{"a/b/none", unix.O_RDONLY, false},
		{"a/b/file", unix.O_RDONLY | unix.O_DIRECTORY, false},
		{"a/b/file/more", unix.O_RDONLY, false},
		{"a/b/link", unix.O_RDONLY, false},
		{"in", unix.O_RDONLY | unix.O_DIRECTORY, false},
		{"in/b/file", unix.O_RDONLY, false},
		{"out/file", unix.O_RDONLY, false},
		{"abs/passwd", unix.O_RDONLY, false},
		{"loop/x", unix.O_RDONLY, false},
	}
	for _, tt := range tests {
		for name, open := range map[string]func(int, string, int) (int, error){
			"openat2": openBeneath,
			"walk": func(dir int, path string, flags int) (int, error) {
				return walkBeneath(dir, path, flags|unix.O_CLOEXEC|unix.O_NOFOLLOW)
			},
		} {
			fd, err := open(root, tt.path, tt.flags)
			if (err == nil) != tt.ok {
				t.Errorf("%s(%q) = %v, want success %v", name, tt.path, err, tt.ok)
			}
			if err == nil {
				unix.Close(fd)
			}
		}
	}
	if noOpenat2.Load() {
		t.Log("openat2 is not available here; only the walk was tried")
	}
}

// Every folder is some project's or nobody's, by its normalized name.
func TestGroup(t *testing.T) {
	tests := []struct{ folder, want string }{
		{".", ""}, {"simple", ""}, {"flat", ""}, {"changes", ""}, {"changes/foo", "foo"}, {"held/foo", ""},
		{"simple/foo", "foo"}, {"simple/Foo.Bar", "foo-bar"}, {"simple/index", "index"},
		{"project/foo", "foo"}, {"pypi/foo", "foo"}, {"pypi/foo/1.0", "foo"},
		{"prod", ""}, {"prod/simple", ""}, {"prod/simple/Foo.Bar", "foo-bar"}, {"prod/flat", ""}, {"snapshots/a/pypi/foo/1.0", "foo"},
		{"project/simple", "simple"},
	}
	for _, tt := range tests {
		if got := group(tt.folder); string(got) != tt.want {
			t.Errorf("group(%q) = %q, want %q", tt.folder, got, tt.want)
		}
	}
}
