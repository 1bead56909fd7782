package secret

import "testing"

func TestAddress(t *testing.T) {
	for _, tt := range []struct {
		in, shown string
		secret    bool
	}{
		{"https://h/x.git", "https://h/x.git", false},
		{"git+https://canary@h/x.git@v1", "git+https://***@h/x.git@v1", true},
		{"git+https://joe:canary@h:8443/x", "git+https://***@h:8443/x", true},
		{"git+ssh://git@h/x", "git+ssh://git@h/x", false},
		{"ssh://git:canary@h/x", "ssh://***@h/x", true},
		{"svn://joe@h/x", "svn://***@h/x", true},
		{"https://h/x?ref=main", "https://h/x?***", false},
		{"https://h/x?ref=main&private_token=canary", "https://h/x?***", true},
		{"https://h/x?X-Amz-Signature=canary", "https://h/x?***", true},
		{"https://h/x?%74oken=canary", "https://h/x?***", true},
		{"https://joe:can%zzary@h/x", "https://***", true},
	} {
		if shown, secret := Address(tt.in); shown != tt.shown || secret != tt.secret {
			t.Errorf("Address(%q) = %q, %v, want %q, %v", tt.in, shown, secret, tt.shown, tt.secret)
		}
	}
}
