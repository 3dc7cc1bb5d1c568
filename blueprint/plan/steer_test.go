package plan

import "testing"

func TestSteers(t *testing.T) {
	for name, want := range map[string]bool{
		"PATH": true, "LD_PRELOAD": true, "GIT_DIR": true, "BASH_ENV": true, "VELOCITY_GIT_BRANCH": true,
		"your_name": false, "path": false, "AWS_ACCESS_KEY_ID": false, "GITHUB_TOKEN": false,
	} {
		if got := Steers(name); got != want {
			t.Errorf("Steers(%q) = %v; want %v", name, got, want)
		}
	}
}
