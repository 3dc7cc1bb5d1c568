package app

// ReadServerSettings reads a configuration of a server as `velocity serve --config`
// does, for tests of the documentation.
func ReadServerSettings(text string) error {
	return parseConfig("example", []byte(text), &serverConfig{})
}

// ReadBuilderSettings reads a builder's settings as `velocity builder run` does.
func ReadBuilderSettings(text string) error {
	return defaultAgentSettings().parse([]byte(text))
}
