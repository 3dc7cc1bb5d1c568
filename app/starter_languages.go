package app

import (
	"fmt"
	"io/fs"
	"path"
	"regexp"
)

// golang asks for less where there are no packages yet, as both vet and test fail then.
func (p project) golang() (starter, bool, error) {
	file, ok := p.has("go.work", "go.mod")
	if !ok {
		return starter{}, false, nil
	}
	code, err := p.find(".", func(name string) (bool, error) { return path.Ext(name) == ".go", nil })
	if err != nil {
		return starter{}, false, err
	}
	s := starter{name: "go", because: file, description: "Vet and test the Go packages"}
	s.steps = []starterStep{{description: "Vet", command: "go vet"}, {description: "Test", command: "go test"}}
	if !code {
		s.description = "Build the Go packages"
		s.steps = []starterStep{{description: "Build, for no packages were found", command: "go build"}}
	}
	for i, step := range s.steps {
		if file == "go.work" { // there need not be a module at the top: each has its own packages
			s.steps[i].script, s.steps[i].command = "go list -f '{{.Dir}}/...' -m | xargs "+step.command, ""
		} else {
			s.steps[i].command += " ./..."
		}
	}
	return s, true, nil
}

// workspace is the section of a Cargo.toml that makes it speak for other crates.
var workspace = regexp.MustCompile(`(?m)^\s*\[workspace[].]`)

func (p project) rust() (starter, bool, error) {
	const file = "Cargo.toml"
	_, ok := p.has(file)
	text, err := p.read(file)
	flags := ""
	if workspace.MatchString(text) {
		flags += " --workspace"
	}
	if _, has := p.has("Cargo.lock"); has {
		flags += " --locked"
	}
	return starter{
		name: "rust", because: file, description: "Build and test the Rust crates",
		steps: []starterStep{
			{description: "Build", command: "cargo build" + flags},
			{description: "Test", command: "cargo test" + flags},
		},
	}, ok, err
}

func (p project) cmake() (starter, bool, error) {
	file, ok := p.has("CMakeLists.txt")
	return starter{
		name: "cmake", because: file, description: "Build and test with CMake",
		steps: []starterStep{
			{description: "Configure", command: "cmake -B build"},
			{description: "Build", command: "cmake --build build"},
			{description: "Test", command: "ctest --test-dir build --output-on-failure"},
		},
	}, ok, nil
}

// java is Maven's or Gradle's, whatever language of the machine it is in.
func (p project) java() (starter, bool, error) {
	if file, ok := p.has("pom.xml"); ok {
		return starter{
			name: "maven", because: file, description: "Build and test with Maven",
			steps: []starterStep{{description: "Verify", command: p.wrapper("mvnw", "mvn") + " -B verify"}},
		}, true, nil
	}
	file, ok := p.has("settings.gradle", "settings.gradle.kts", "build.gradle", "build.gradle.kts")
	return starter{
		name: "gradle", because: file, description: "Build and test with Gradle",
		steps: []starterStep{{description: "Build", command: p.wrapper("gradlew", "gradle") + " --no-daemon build"}},
	}, ok, nil
}

// wrapper prefers the script that brings the tool in the version that the project
// wants; those who work on Windows forget to make it executable.
func (p project) wrapper(script, tool string) string {
	if _, ok := p.has(script); !ok {
		return tool
	}
	if info, err := fs.Stat(p.files, script); err == nil && info.Mode()&0o111 == 0 {
		return "sh ./" + script
	}
	return "./" + script
}

func (p project) ruby() (starter, bool, error) {
	file, ok := p.has("Gemfile")
	s := starter{name: "ruby", because: file, description: "Install and test the Ruby code"}
	install := starterStep{description: "Install", command: "bundle install"}
	if _, locked := p.has("Gemfile.lock"); locked {
		install.environment = "BUNDLE_FROZEN=true"
	}
	s.steps = []starterStep{install}
	if _, has := p.has("Rakefile", "rakefile", "Rakefile.rb", "rakefile.rb"); has {
		s.steps = append(s.steps, starterStep{description: "Rake", command: "bundle exec rake"})
	} else if p.isDir("spec") {
		s.steps = append(s.steps, starterStep{description: "Test", command: "bundle exec rspec"})
	}
	return s, ok, nil
}

// php runs the script called test, as Composer's own commands do, or else PHPUnit
// where that has its settings.
func (p project) php() (starter, bool, error) {
	const file = "composer.json"
	var composer struct {
		Scripts map[string]any `json:"scripts"`
	}
	ok, err := p.decode(file, &composer)
	s := starter{name: "php", because: file, description: "Install and test the PHP code"}
	s.steps = []starterStep{{description: "Install", command: "composer install --no-interaction"}}
	if _, has := composer.Scripts["test"]; has {
		s.steps = append(s.steps, starterStep{description: "Test", command: "composer run-script test"})
	} else if _, has := p.has("phpunit.xml", "phpunit.xml.dist"); has {
		s.steps = append(s.steps, starterStep{description: "Test", command: "vendor/bin/phpunit"})
	}
	return s, ok, err
}

func (p project) dotnet() (starter, bool, error) {
	pattern, ok := p.hasLike("*.sln", "*.slnx", "*.csproj", "*.fsproj", "*.vbproj")
	return starter{
		name: "dotnet", because: pattern, description: "Build and test with .NET",
		steps: []starterStep{
			{description: "Build", command: "dotnet build"},
			{description: "Test", command: "dotnet test --no-build"},
		},
	}, ok, nil
}

// makefile calls the targets that are there under their usual names, and the
// first one, as make does unasked, only where there are none.
func (p project) makefile() (starter, bool, error) {
	file, ok := p.has("GNUmakefile", "makefile", "Makefile")
	if !ok {
		return starter{}, false, nil
	}
	text, err := p.read(file)
	if err != nil {
		return starter{}, false, err
	}
	s := starter{name: "make", because: file, description: "Make what the Makefile says"}
	for _, target := range []string{"all", "build", "lint", "check", "test"} {
		rule := regexp.MustCompile(`(?m)^(?:[\w.-]+ +)*` + target + `(?: +[\w.-]+)* *::?(?:[^=]|$)`)
		if rule.MatchString(text) {
			s.steps = append(s.steps, starterStep{description: fmt.Sprintf("Make %s", target), command: "make " + target})
		}
	}
	if len(s.steps) == 0 {
		s.steps = []starterStep{{description: "Make the first target", command: "make"}}
	}
	return s, true, nil
}
