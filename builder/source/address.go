package source

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// maxAddress bounds an address, in bytes.
const maxAddress = 2048

// An address is where a repository is fetched from over https or ssh. It holds no
// password, and nothing in it can be taken for an option, a command or a path on
// this machine.
type address struct {
	scheme string // "https" or "ssh"
	user   string // of ssh; "" is none
	host   string // lower case; an IPv6 address without brackets
	port   string // "" is the scheme's own
	path   string // begins with a slash, unless scp
	scp    bool   // written as host:path, which begins in the user's home folder there
}

var (
	hostName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$`)
	userName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]*$`)
	portName = regexp.MustCompile(`^[1-9][0-9]{0,4}$`)
	scpForm  = regexp.MustCompile(`^(?:([^/:@]*)@)?([^/:@\[\]]+):(.*)$`)
)

// Address is an https or ssh address of a repository, as it may be given to
// builders: without the password, or the user of https, that it may have. It fails
// for what is neither.
func Address(text string) (string, error) {
	if u, err := url.Parse(text); err == nil && u.User != nil {
		if u.Scheme == "https" {
			u.User = nil
		} else {
			u.User = url.User(u.User.Username())
		}
		text = u.String()
	}
	a, err := parseAddress(text)
	if err != nil {
		return "", err
	}
	return a.String(), nil
}

// parseAddress reads https://, ssh:// and user@host:path.
func parseAddress(text string) (address, error) {
	bad := func(c rune) bool { return c <= ' ' || c == '\\' || c >= unicode.MaxASCII }
	if len(text) > maxAddress || strings.HasPrefix(text, "-") || strings.ContainsFunc(text, bad) {
		return address{}, errors.New("it is too long, begins with - or has characters that no address has")
	}
	if m := scpForm.FindStringSubmatch(text); m != nil && !strings.HasPrefix(m[3], "//") && !strings.HasPrefix(m[3], ":") && !strings.Contains(m[3], "::") {
		if m[1] == "" && strings.HasPrefix(text, "@") {
			return address{}, errors.New("its user is empty")
		}
		a := address{scheme: "ssh", user: m[1], host: strings.ToLower(m[2]), path: m[3], scp: true}
		return a.checked()
	}
	u, err := url.Parse(text)
	if err != nil {
		return address{}, errors.New("it is no URL") // what url.Parse says may quote a password
	}
	if u.Scheme != "https" && u.Scheme != "ssh" || u.Opaque != "" {
		return address{}, errors.New("only https:// and ssh:// are spoken, no paths and nothing else")
	}
	if _, has := u.User.Password(); has || u.User != nil && u.Scheme == "https" {
		return address{}, errors.New("it has credentials in it: take them out, submodules are fetched without any")
	}
	if u.RawQuery != "" || u.ForceQuery || strings.Contains(text, "#") {
		return address{}, errors.New("it has a query or a fragment")
	}
	a := address{scheme: u.Scheme, user: u.User.Username(), host: strings.ToLower(u.Hostname()), port: u.Port(), path: u.EscapedPath()}
	if u.User != nil && a.user == "" || strings.HasSuffix(u.Host, ":") {
		return address{}, errors.New("its user or its port is empty")
	}
	if a.port == a.ownPort() {
		a.port = ""
	}
	return a.checked()
}

// checked is the address if each of its parts is one.
func (a address) checked() (address, error) {
	ip, err := netip.ParseAddr(a.host)
	if !hostName.MatchString(a.host) && (err != nil || ip.Zone() != "") {
		return address{}, errors.New("its host is not a name")
	}
	if a.user != "" && !userName.MatchString(a.user) || a.port != "" && !portName.MatchString(a.port) {
		return address{}, errors.New("its user or port is not one")
	}
	plain, err := url.PathUnescape(a.path)
	if err != nil || strings.Trim(plain, "/") == "" {
		return address{}, errors.New("its path is missing or not one")
	}
	for part := range strings.SplitSeq(plain, "/") {
		if part == ".." || part == "." || strings.HasPrefix(part, "-") || strings.ContainsFunc(part, unicode.IsControl) {
			return address{}, fmt.Errorf("its path has the part %q", part)
		}
	}
	return a, nil
}

func (a address) ownPort() string {
	if a.scheme == "https" {
		return "443"
	}
	return "22"
}

// String is the one form of the address that git is given.
func (a address) String() string {
	user := a.user
	if user != "" {
		user += "@"
	}
	if a.scp {
		return user + a.host + ":" + a.path
	}
	return a.scheme + "://" + user + a.server() + a.path
}

// server is the host with a port that is not the scheme's own, as the list of
// hosts has it.
func (a address) server() string {
	host := a.host
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if a.port != "" {
		host += ":" + a.port
	}
	return host
}

// resolve finds what a submodule's address means in the repository at base, whose
// zero value is one that is not known: ./ and ../ count from it as folders do.
func resolve(base address, text string) (address, error) {
	if !strings.HasPrefix(text, "./") && !strings.HasPrefix(text, "../") {
		return parseAddress(text)
	}
	if base.host == "" {
		return address{}, errors.New("it is relative, and the https or ssh address of the repository is not known: " +
			"give it as url in the server's configuration of the repository, or as its remote origin")
	}
	folder := strings.TrimRight(base.path, "/")
	for {
		if rest, ok := strings.CutPrefix(text, "./"); ok {
			text = rest
			continue
		}
		rest, ok := strings.CutPrefix(text, "../")
		if !ok {
			break
		}
		if folder == "" {
			return address{}, errors.New("it leads above the root of its server")
		}
		folder, text = folder[:max(strings.LastIndexByte(folder, '/'), 0)], rest
	}
	base.path = folder + "/" + text
	if base.scp && folder == "" {
		base.path = text
	}
	return parseAddress(base.String())
}

// allowed reports whether submodules may come from an address: from the server of
// the repository itself, or from one that is listed.
func (a address) allowed(from address, hosts []string) bool {
	samePort := a.port == "" || a.scheme == from.scheme && a.port == from.port
	if from.host != "" && a.host == from.host && samePort {
		return true
	}
	return slices.ContainsFunc(hosts, func(host string) bool { return strings.ToLower(host) == a.server() })
}

// CheckHost says why a text is not a host, or HOST:PORT, of submodules.
func CheckHost(text string) error {
	a, err := parseAddress("https://" + cmp.Or(text, "-") + "/x")
	if err != nil {
		return err
	}
	if a.server() != strings.ToLower(text) {
		return errors.New("a host is a name, or name:port with a port other than the usual one")
	}
	return nil
}
