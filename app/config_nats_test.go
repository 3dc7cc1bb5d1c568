package app

import (
	"strings"
	"testing"
)

func TestNATSConfig(t *testing.T) {
	for _, c := range []struct {
		n       natsConfig
		listens bool
		want    string
	}{
		{natsConfig{}, false, ""},
		{natsConfig{URL: "tls://a.example.com,tls://b.example.com:4223", Builders: "tls://c.example.com"}, true, ""},
		{natsConfig{URL: "nats://127.0.0.1:4222", Credentials: "c"}, true, ""},
		{natsConfig{NKey: "k"}, true, "nats.url is missing"},
		{natsConfig{URL: "tls://a.example.com"}, false, "has to listen"},
		{natsConfig{URL: "tls://a.example.com", NKey: "k", Credentials: "c"}, true, "exclude each other"},
		{natsConfig{URL: "tls://a.example.com", Certificate: "c"}, true, "go together"},
		{natsConfig{URL: "nats://a.example.com"}, true, "nats.url: nats://a.example.com is not encrypted"},
		{natsConfig{URL: "tls://a.example.com", Builders: "-x"}, true, "nats.builders: the address is not a URL"},
		{natsConfig{URL: "tls://u:secret@a.example.com"}, true, "credentials do not belong"},
	} {
		err := c.n.check(c.listens)
		if (err == nil) != (c.want == "") || err != nil && (!strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "secret")) {
			t.Errorf("%+v: %v; want %q", c.n, err, c.want)
		}
	}
}
