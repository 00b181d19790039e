package fetch

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"
)

// metadata are the addresses outside the link-local ranges at which clouds hand out the credentials of a machine: of
// Alibaba, Oracle, and Amazon over IPv6, in this order.
var metadata = []netip.Addr{
	netip.MustParseAddr("100.100.100.200"), netip.MustParseAddr("192.0.0.192"), netip.MustParseAddr("fd00:ec2::254"),
}

// translated are the prefixes behind which the last four bytes are an IPv4 address (RFC 6052, RFC 8215).
var translated = []netip.Prefix{netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("64:ff9b:1::/48")}

// shared is the address space between a provider and its customers (RFC 6598).
var shared = netip.MustParsePrefix("100.64.0.0/10")

// allowed says whether a source may lie at an address. Private networks are, unless Public says otherwise: a company's own
// server is there.
func (f *Fetcher) allowed(a netip.Addr) error {
	a = a.Unmap().WithZone("")
	for _, p := range translated {
		if p.Contains(a) {
			b := a.As16()
			a = netip.AddrFrom4([4]byte(b[12:]))
		}
	}
	for _, m := range metadata {
		if a == m && !f.AllowLocal {
			return fmt.Errorf("%s is a cloud's metadata service, from which nothing is fetched", a)
		}
	}
	this := a.Is4() && a.As4()[0] == 0 // 0.0.0.0/8: Linux takes it for the host itself
	switch {
	case (a.IsLoopback() || a.IsUnspecified() || this) && !f.AllowLocal:
		return fmt.Errorf("%s is this host itself: nothing is fetched from it; include a local file by its path", a)
	case a.IsLinkLocalUnicast() && !f.AllowLocal:
		return fmt.Errorf("%s is a link-local address, from which nothing is fetched: metadata services lie there", a)
	case a.IsMulticast(), a == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return fmt.Errorf("%s is not the address of one host", a)
	case f.Public && (a.IsPrivate() || shared.Contains(a)):
		return fmt.Errorf("%s is an address of a private network, which a fetched lab may not ask", a)
	}
	return nil
}

// dialer connects to allowed addresses only: the address is looked at when it is used, after all look-ups.
func (f *Fetcher) dialer() *net.Dialer {
	return &net.Dialer{
		Timeout: 30 * time.Second,
		ControlContext: func(_ context.Context, _, address string, _ syscall.RawConn) error {
			at, err := netip.ParseAddrPort(address)
			if err != nil {
				return err
			}
			return f.allowed(at.Addr())
		},
	}
}

// lookUp is the addresses of a host, all of which are allowed.
func (f *Fetcher) lookUp(ctx context.Context, host string) ([]netip.Addr, error) {
	addrs, err := f.resolve(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	for i, a := range addrs {
		addrs[i] = a.Unmap()
		if err := f.allowed(a); err != nil {
			return nil, err
		}
	}
	return addrs, nil
}
