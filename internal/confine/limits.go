package confine

import (
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"nestgen"
)

// For gives what a process needs that answers one request for a site: its folders,
// what its settings name, and what names and certificates are looked up in. The
// settings have been resolved. The folders of the site have to be there, because
// the process cannot make them later.
//
// It is not for a process that stays: what is replaced in the meantime, a policy,
// /etc/resolv.conf, the whole site, is another file to the kernel, and closed to
// it; and its settings may name other folders some day.
func For(c nestgen.Config) Limits {
	var l Limits
	l.Change = []string{c.Site, c.State, scratch()}
	if c.Uploads != "" {
		l.Change = append(l.Change, c.Uploads)
	}
	l.Read = append(l.Read, c.File, c.Policy, c.Netrc, c.Fallback.Tokens, c.Templates)
	for _, a := range c.Allowlist {
		l.Read = append(l.Read, filepath.Dir(a)) // of the others that it names
	}
	l.Read = append(l.Read, c.Drop...)
	// A page may lead to files at another host.
	l.Ports = []uint16{80, 443}
	for _, u := range c.Upstreams {
		l.Read = append(l.Read, u.Credentials, u.CAFile)
		l.Ports = append(l.Ports, ports(u.URL)...)
		switch path, isFile := strings.CutPrefix(u.URL, "file:"); {
		case isFile:
			if u, err := url.Parse(u.URL); err == nil {
				path = u.Path
			}
			l.Read = append(l.Read, path)
		case !strings.Contains(u.URL, ":"):
			l.Read = append(l.Read, u.URL)
		}
		switch u.Proxy {
		case "":
		case "env":
			for _, name := range []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"} {
				l.Ports = append(l.Ports, proxyPorts(os.Getenv(name))...)
			}
		default:
			l.Ports = append(l.Ports, proxyPorts(u.Proxy)...)
		}
	}
	l.Read = append(l.Read,
		// all that Go's own resolver reads
		"/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf",
		// where Go looks for certificates, and what the links there lead to
		"/etc/ssl", "/etc/pki", "/etc/ca-certificates", "/usr/share/ca-certificates", "/usr/local/share/ca-certificates", "/usr/share/pki",
		os.Getenv("SSL_CERT_FILE"))
	l.Read = append(l.Read, filepath.SplitList(os.Getenv("SSL_CERT_DIR"))...)
	l.Read = append(l.Read, "/proc/self/status") // for the umask
	if os.Getenv("TZ") == "" {
		l.Read = append(l.Read, "/etc/localtime")
	} else {
		l.Read = append(l.Read, "/usr/share/zoneinfo")
	}
	l.Read = slices.DeleteFunc(l.Read, func(path string) bool { return path == "" })
	slices.Sort(l.Read)
	l.Read = slices.Compact(l.Read)
	slices.Sort(l.Ports)
	l.Ports = slices.Compact(l.Ports)
	return l
}

// scratch gives the folder in which SQLite makes the files that it removes at
// once, by the rule that it chooses it by.
func scratch() string {
	for _, dir := range []string{os.Getenv("SQLITE_TMPDIR"), os.Getenv("TMPDIR"), "/var/tmp", "/usr/tmp"} {
		if fi, err := os.Stat(dir); err == nil && fi.IsDir() {
			return dir
		}
	}
	return "/tmp"
}

// ports gives the port of an address.
func ports(address string) []uint16 {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return nil
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443", "socks5": "1080", "socks5h": "1080"}[u.Scheme]
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil
	}
	return []uint16{uint16(n)}
}

// proxyPorts gives the port of a proxy, which may be written without a scheme.
func proxyPorts(address string) []uint16 {
	if address != "" && !strings.Contains(address, "://") {
		address = "http://" + address
	}
	return ports(address)
}
