package queue

import "testing"

func TestWhy(t *testing.T) {
	linux := Offer{Labels: map[string]string{"os": "linux"}, Executors: []string{"docker"}}
	gpu := map[string]string{"os": "linux", "gpu": "true"}
	for _, test := range []struct {
		want string
		p    Picture
		n    Needs
	}{
		{want: "no builder is connected"},
		{
			want: "no builder has the label gpu=true; 3 are connected, with gpu=false",
			p:    Picture{Builders: []Builder{{Offer: linux}, {Offer: linux}, {Offer: Offer{Labels: map[string]string{"gpu": "false"}}}}}, n: needs(gpu),
		},
		{
			want: "no builder has the label os=mac; 1 has arch=arm64",
			p:    Picture{Builders: []Builder{{Offer: Offer{Labels: map[string]string{"arch": "arm64"}}}, {Offer: linux}}}, n: needs(map[string]string{"arch": "arm64", "os": "mac"}),
		},
		{
			want: "no builder has the executor host; 2 are connected, with docker",
			p:    Picture{Builders: []Builder{{Offer: linux}, {Offer: linux}}}, n: needs(nil, "host"),
		},
		{
			want: "no builder takes code of strangers; 1 is there for trusted code",
			p:    Picture{Builders: []Builder{{Offer: linux}}}, n: NewNeeds(nil, nil, true),
		},
		{
			want: "no builder takes trusted code; 2 are there for code of strangers",
			p:    Picture{Builders: []Builder{{Offer: Offer{Untrusted: true}}, {Offer: Offer{Untrusted: true}}}},
		},
		{
			want: "r has as many tasks under way as it may: 2 of 2",
			p:    Picture{Builders: []Builder{{Capacity: 9}}, Shares: map[string]Share{"r": {Limit: 2}}, Running: map[string]int{"r": 2}},
		},
		{
			want: "2 builders fit, and all are being drained",
			p:    Picture{Builders: []Builder{{Capacity: 9, Draining: true}, {Capacity: 9, Draining: true}}},
		},
		{
			want: "1 builder fits, and takes no work now",
			p:    Picture{Builders: []Builder{{Offer: linux}, {Capacity: 9}}}, n: needs(nil, "docker"),
		},
		{
			want: "2 builders fit, and none takes work now (a: spool: full; b: disk: full)",
			p:    Picture{Builders: []Builder{{Name: "b", Reason: "disk: full"}, {Name: "a", Reason: "spool: full"}}},
		},
		{
			want: "2 builders fit: 3 of 3 slots are busy, 1 task of r first",
			p: Picture{
				Builders: []Builder{{Capacity: 2, Busy: 2}, {Capacity: 1, Busy: 1}, {Capacity: 1, Offer: Offer{Untrusted: true}}},
				Ready:    []Task{task("r", 1, "s0t0", 1), task("r", 2, "s0t0", 2), task("other", 1, "s0t0", 1)},
			},
		},
	} {
		waiting := task("r", 2, "s0t0", 2)
		waiting.Needs = test.n
		if got := Why(test.p, waiting); got != test.want {
			t.Errorf("Why = %q; want %q", got, test.want)
		}
	}
}
