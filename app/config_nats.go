package app

import (
	"cmp"

	"github.com/velocity-ci/velocity/architect/dispatch"
)

// A natsConfig names an existing NATS cluster on which the architect and its
// builders meet. Without an address they meet in the server itself.
type natsConfig struct {
	URL         string `yaml:"url" help:"servers of an existing NATS cluster to meet builders on, such as tls://n1.example.com,tls://n2.example.com (default: this server is one)"`
	Builders    string `yaml:"builders" help:"where builders reach the same cluster, if elsewhere"`
	NKey        string `yaml:"nkey" file:"yes" help:"file with the seed of the architect's user key on the cluster (default: one that is made in the state)"`
	Credentials string `yaml:"credentials" file:"yes" help:"credentials file of the architect, instead of a key: for a cluster with an operator"`
	CA          string `yaml:"ca" file:"yes" help:"PEM file of the authority of the cluster's certificates, told to builders, too (default: those that the machine knows)"`
	Certificate string `yaml:"certificate" file:"yes" help:"PEM file of this server's own certificate, for a cluster that asks for one"`
	Key         string `yaml:"key" file:"yes" help:"PEM file of its key"`
}

// told is where builders are told to connect.
func (n *natsConfig) told() string { return cmp.Or(n.Builders, n.URL) }

// check finds what does not go together.
func (n *natsConfig) check(listens bool) error {
	switch {
	case *n == natsConfig{}:
		return nil
	case n.URL == "":
		return usage("the keys of nats are for a cluster: nats.url is missing")
	case !listens:
		return usage("nats.url: builders register with this server and fetch sources from it, so it has to listen").hint("--listen :443, or listen in the file")
	case n.NKey != "" && n.Credentials != "":
		return usage("nats.nkey and nats.credentials exclude each other: the architect is one user")
	case (n.Certificate == "") != (n.Key == ""):
		return usage("nats.certificate and nats.key go together: one of them is missing")
	}
	for _, given := range []struct{ key, addresses string }{{"nats.url", n.URL}, {"nats.builders", n.told()}} {
		if err := dispatch.CheckAddresses(given.addresses); err != nil {
			return usage("%s: %w", given.key, err)
		}
	}
	return nil
}
