package app

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/velocity-ci/velocity/app/term"
	"github.com/velocity-ci/velocity/blueprint"
)

func (c *cli) lintCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "lint",
		Short: "Check the configuration and point at every mistake",
		Args:  arguments(0, 0),
	}
	from := addOriginFlags(cmd)
	strict := cmd.Flags().Bool("strict", false, "warnings are errors")
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return c.lint(cmd.Context(), from, *strict, *asJSON) }
	return cmd
}

func (c *cli) lint(ctx context.Context, from originFlags, strict, asJSON bool) error {
	src, err := from.open(ctx)
	if err != nil {
		return err
	}
	defer src.close()
	config, findings, err := src.config()
	if err != nil {
		return err
	}
	if strict {
		findings = findings.Strict()
	}
	if asJSON {
		err = printJSON(c.Out, notNil(findings))
	} else {
		err = c.printFindings(config, findings)
	}
	if err != nil {
		return err
	}
	if findings.Err() != nil {
		return &failure{status: statusFailed}
	}
	return nil
}

func (c *cli) printFindings(config *blueprint.Config, findings blueprint.Findings) error {
	errors := 0
	for _, f := range findings {
		if f.Severity == blueprint.SeverityError {
			errors++
		}
		if _, err := fmt.Fprintln(c.Out, term.Clean(f.String())); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(c.Out, "pipelines: %d, blueprints: %d, errors: %d, warnings: %d\n",
		len(config.Pipelines()), len(config.Blueprints()), errors, len(findings)-errors)
	return err
}
