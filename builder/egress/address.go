package egress

import "net/netip"

// denied are the ranges that no public server has, or behind which another
// address hides that could be anybody's.
var denied = func() (all []netip.Prefix) {
	for _, text := range []string{
		"0.0.0.0/8",       // this network
		"100.64.0.0/10",   // shared between a provider's customers
		"192.0.0.0/24",    // protocol assignments
		"192.0.2.0/24",    // documentation, like the next but one and two
		"192.88.99.0/24",  // 6to4 relays
		"198.18.0.0/15",   // benchmarks
		"198.51.100.0/24", //
		"203.0.113.0/24",  //
		"240.0.0.0/4",     // reserved, broadcast
		"::/96",           // IPv4-compatible
		"64:ff9b::/96",    // NAT64: an IPv4 address in disguise
		"64:ff9b:1::/48",  // the same, of a site's own
		"100::/64",        // discarded
		"2001::/23",       // protocol assignments, Teredo
		"2001:db8::/32",   // documentation
		"2002::/16",       // 6to4: an IPv4 address in disguise
		"3fff::/20",       // documentation
		"5f00::/16",       // segment routing
		"fec0::/10",       // site-local, of old
	} {
		all = append(all, netip.MustParsePrefix(text))
	}
	return all
}()

// public reports whether an address is one that anybody may be sent to: not this
// machine, not its neighbours, not many at once.
func public(a netip.Addr) bool {
	a = a.Unmap() // an IPv4 address stays one in any spelling
	if !a.IsGlobalUnicast() || a.IsPrivate() || a.Zone() != "" {
		return false
	}
	for _, p := range denied {
		if p.Contains(a) {
			return false
		}
	}
	return true
}
