package plan

import (
	"slices"
	"strings"
)

// Steers reports whether an environment variable of this name changes how
// programs are found, loaded or run, so that no parameter may set it. Names of
// built-in parameters are among them: VELOCITY_* tells the truth about a build.
func Steers(variable string) bool {
	for _, prefix := range []string{"LD_", "DYLD_", "GIT_", "BASH_FUNC_", "VELOCITY_"} {
		if strings.HasPrefix(variable, prefix) {
			return true
		}
	}
	return slices.Contains([]string{
		"PATH", "HOME", "SHELL", "IFS", "ENV", "BASH_ENV", "SHELLOPTS", "BASHOPTS", "CDPATH", "GLOBIGNORE", "PS4", "PROMPT_COMMAND",
		"PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "PERL5LIB", "PERL5OPT", "RUBYLIB", "RUBYOPT",
		"NODE_OPTIONS", "NODE_PATH", "CLASSPATH", "JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS", "GOFLAGS", "GCONV_PATH",
		"DOCKER_HOST", "DOCKER_CONFIG", "DOCKER_CONTEXT", "DOCKER_CERT_PATH", "COMPOSE_FILE",
		"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR",
	}, variable)
}
