package fetch

import (
	"bufio"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
)

// A login is a user name and a password. The zero login is none.
type login struct{ user, password string }

// A keyring knows which login goes to which host.
type keyring struct {
	// origin is the upstream's own, to which own goes.
	origin string
	own    login
	hosts  map[string]login // from the netrc file
}

// openKeyring takes the login for the upstream from its address, or else from
// the credentials file, or else from the netrc file.
func openKeyring(root *url.URL, credentials, netrc string) (*keyring, error) {
	k := &keyring{origin: origin(root)}
	if u := root.User; u != nil {
		k.own.user = u.Username()
		k.own.password, _ = u.Password()
	}
	if credentials != "" {
		own, err := readCredentials(credentials)
		if err != nil {
			return nil, err
		}
		k.own = own
	}
	if netrc != "" {
		f, err := os.Open(netrc)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		var rest login
		k.hosts, rest, err = readNetrc(f)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", netrc, err)
		}
		if k.own == (login{}) {
			var named bool
			if k.own, named = k.hosts[strings.ToLower(root.Hostname())]; !named {
				k.own = rest // the default entry is for nobody but the upstream
			}
		}
	}
	return k, nil
}

// readCredentials reads a file with user:password on its first line.
func readCredentials(file string) (login, error) {
	f, err := os.Open(file)
	if err != nil {
		return login{}, err
	}
	defer f.Close()
	in := bufio.NewScanner(f)
	in.Scan()
	if err := in.Err(); err != nil {
		return login{}, fmt.Errorf("%s: %w", file, err)
	}
	line := strings.TrimSuffix(strings.TrimPrefix(in.Text(), "\ufeff"), "\r")
	user, password, ok := strings.Cut(line, ":")
	if !ok || user == "" {
		return login{}, fmt.Errorf("%s: the first line is not user:password", file)
	}
	return login{user, password}, nil
}

// authorize puts the login for a request's host into its header, and takes any
// other out. Another host than the upstream's gets only what the netrc file
// has for it, and only over TLS: the upstream decides where links lead.
func (k *keyring) authorize(r *http.Request) {
	r.Header.Del("Authorization")
	l := login{}
	if origin(r.URL) == k.origin {
		l = k.own
	} else if r.URL.Scheme == "https" {
		l = k.hosts[strings.ToLower(r.URL.Hostname())]
	}
	if l != (login{}) {
		r.SetBasicAuth(l.user, l.password)
	}
}

// origin gives scheme, host and port of an address in one comparable form.
func origin(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return u.Scheme + "://" + strings.ToLower(u.Hostname()) + ":" + port
}
