package fetch

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
)

// A zone is how far from the public internet an address is. An upstream may
// send us to addresses of its own zone and of lower ones: one in a private
// network may name hosts of that network, one on the internet may not
// (reliability.md: server-side request forgery).
type zone uint32

const (
	public zone = iota + 1
	private
	loopback
	forbidden // never, unless the settings name the very address
)

var (
	privateNets = prefixes("100.64.0.0/10", "192.0.0.0/24", "198.18.0.0/15", "fec0::/10", "2001:db8::/32", "192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")

	// Where clouds answer with the credentials of the machine that asks, in
	// networks that are otherwise only private.
	metadataHosts = []netip.Addr{netip.MustParseAddr("100.100.100.200"), netip.MustParseAddr("192.0.0.192"), netip.MustParseAddr("fd00:ec2::254")}

	nat64   = netip.MustParsePrefix("64:ff9b::/96")
	sixFour = netip.MustParsePrefix("2002::/16")
	future  = netip.MustParsePrefix("240.0.0.0/4")
	thisNet = netip.MustParsePrefix("0.0.0.0/8")
)

func prefixes(list ...string) (p []netip.Prefix) {
	for _, s := range list {
		p = append(p, netip.MustParsePrefix(s))
	}
	return p
}

// zoneOf gives the zone of an address, looking through the forms of IPv6 that
// hold an IPv4 address.
func zoneOf(a netip.Addr) zone {
	a = a.Unmap().WithZone("")
	b := a.As16()
	switch {
	case nat64.Contains(a):
		return zoneOf(netip.AddrFrom4([4]byte(b[12:16])))
	case sixFour.Contains(a):
		return zoneOf(netip.AddrFrom4([4]byte(b[2:6])))
	case a.Is6() && b[0] == 0 && [11]byte(b[1:12]) == [11]byte{} && !a.IsLoopback() && !a.IsUnspecified():
		return zoneOf(netip.AddrFrom4([4]byte(b[12:16]))) // IPv4-compatible
	}
	for _, m := range metadataHosts {
		if a == m {
			return forbidden
		}
	}
	switch {
	case a.IsLoopback():
		return loopback
	case a.IsUnspecified(), a.IsMulticast(), a.IsLinkLocalUnicast(), future.Contains(a), thisNet.Contains(a):
		return forbidden
	case a.IsPrivate():
		return private
	}
	for _, p := range privateNets {
		if p.Contains(a) {
			return private
		}
	}
	return public
}

// A guard decides which addresses may be connected to. Where the upstream
// itself is, is seen at the first connection and stays so: a name that
// first was on the internet and then points into a private network is not
// followed.
type guard struct {
	host  string   // of the upstream, without port
	proxy string   // host of the proxy, or empty
	named []string // hosts that the settings name besides, in lower case
	dial  net.Dialer
	home  atomic.Uint32 // the zone of the upstream, 0 if not yet known
	first sync.Mutex
}

// dialContext connects to host:port, or says why it may not.
func (g *guard) dialContext(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if !strings.EqualFold(host, g.host) {
		g.locate(ctx)
	}
	d := g.dial
	d.ControlContext = func(_ context.Context, _, resolved string, _ syscall.RawConn) error {
		ap, err := netip.ParseAddrPort(resolved)
		if err != nil {
			return fault(Refused, "address %s: not one of the internet protocol", resolved)
		}
		return g.check(host, ap.Addr())
	}
	return d.DialContext(ctx, network, address)
}

// locate finds out where the upstream is that nobody has connected to yet: what
// is known of it from an earlier run may name files on another host. The farthest
// of its addresses counts, so that nothing is allowed by a doubt.
func (g *guard) locate(ctx context.Context) {
	if g.home.Load() != 0 {
		return
	}
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", g.host)
	home := forbidden
	for _, a := range addrs {
		home = min(home, zoneOf(a))
	}
	if err == nil && home != forbidden {
		g.settle(home)
	}
}

// check says why an address that host stands for may not be connected to.
func (g *guard) check(host string, a netip.Addr) error {
	z := zoneOf(a)
	switch {
	case g.proxy != "" && strings.EqualFold(host, g.proxy):
		return nil // the settings name it
	case slices.Contains(g.named, strings.ToLower(host)):
		if literal, err := netip.ParseAddr(host); z != forbidden || err == nil && literal.Unmap() == a.Unmap() {
			return nil
		}
		return fault(Refused, "%s stands for %s, which is never connected to unless the settings name that address", host, a)
	case strings.EqualFold(host, g.host):
		if literal, err := netip.ParseAddr(host); err == nil {
			g.settle(z)
			if literal.Unmap().WithZone("") == a.Unmap().WithZone("") {
				return nil
			}
		}
		if z == forbidden {
			return fault(Refused, "%s stands for %s, which is never connected to unless the settings name that address", host, a)
		}
		if home := g.settle(z); z > home {
			return fault(Refused, "%s now stands for %s in a nearer network than before", host, a)
		}
		return nil
	}
	if z == forbidden {
		return fault(Refused, "%s stands for %s, which is never connected to", host, a)
	}
	if z != public && z > zone(g.home.Load()) {
		return fault(Refused, "%s stands for %s, which is in a private network, and the upstream is not", host, a)
	}
	return nil
}

// settle notes the zone of the upstream unless it is known, and gives it.
func (g *guard) settle(z zone) zone {
	g.first.Lock()
	defer g.first.Unlock()
	if g.home.Load() == 0 {
		g.home.Store(uint32(z))
	}
	return zone(g.home.Load())
}

// checkLiteral is for requests that a proxy makes: it resolves names, so that
// only an address that is written as one can be looked at.
func (g *guard) checkLiteral(host string) error {
	if strings.EqualFold(host, g.host) {
		return nil
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		if h := strings.ToLower(strings.TrimSuffix(host, ".")); h == "localhost" || strings.HasSuffix(h, ".localhost") {
			a = netip.IPv6Loopback()
		} else {
			return nil
		}
	}
	if err := g.check(host, a); err != nil {
		return fmt.Errorf("by way of the proxy: %w", err)
	}
	return nil
}
