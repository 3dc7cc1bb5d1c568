package blueprint

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"

	"cel.dev/cel-go/cel"
	celcommon "cel.dev/cel-go/common"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/parser"
)

// Limits on conditions.
const (
	maxCondition = 4 << 10 // bytes of the text
	maxNesting   = 50      // of parentheses and calls
	maxCost      = 100_000 // steps of one evaluation, as CEL counts them
)

// changedFunction is what changed("a", "b") calls with the list of its patterns.
const changedFunction = "changed"

// A predicate is what has been found out about the text of a condition, whatever
// file it stands in. It is read-only and safe for concurrent use.
type predicate struct {
	program  cel.Program
	uses     []parameterUse
	mistakes []mistake
}

// A parameterUse is where a condition asks for a parameter; line counts from 1,
// column from 0.
type parameterUse struct {
	name         string
	line, column int
}

// A mistake is one in the text of a condition.
type mistake struct {
	line, column  int
	message, hint string
}

// predicates holds each text once: many files have the same condition.
type predicates map[string]*predicate

func (ps predicates) of(text string) *predicate {
	p, ok := ps[text]
	if !ok {
		p = newPredicate(text)
		ps[text] = p
	}
	return p
}

// conditions is the language of conditions. It takes a while to make, so it is
// made for the first condition.
var conditions = sync.OnceValues(func() (*cel.Env, error) {
	options := []cel.EnvOption{
		cel.Variable("parameters", cel.MapType(cel.StringType, cel.StringType)),
		cel.Variable(trustedName, cel.BoolType),
		cel.Function(changedFunction, cel.Overload("changed_patterns", []*cel.Type{cel.ListType(cel.StringType)}, cel.BoolType, cel.LateFunctionBinding())),
		cel.Macros(parser.NewGlobalVarArgMacro(changedFunction, expandChanged)),
		cel.ParserRecursionLimit(maxNesting),
		cel.ParserExpressionSizeLimit(maxCondition),
		cel.ASTValidators(cel.ValidateRegexLiterals(), cel.ValidateComprehensionNestingLimit(2)),
	}
	for _, name := range conditionNames() {
		options = append(options, cel.Variable(name, cel.StringType))
	}
	return cel.NewEnv(options...)
})

// trustedName says whether the code is from somebody who may write here.
const trustedName = "build.trusted"

// conditionNames are the values that need no declaration: those of git, and what
// the trigger says.
func conditionNames() []string {
	names := []string{"build.event", "build.ref", "build.branch", "build.tag", "build.target", "build.pipeline"}
	for _, n := range gitNames() {
		names = append(names, n, n+cleanSuffix)
	}
	return names
}

// expandChanged makes one list of the patterns, which must stand there literally:
// what a plan compares is known before any of it is drawn.
func expandChanged(h parser.ExprHelper, _ ast.Expr, args []ast.Expr) (ast.Expr, *celcommon.Error) {
	for _, a := range args {
		p, ok := literalString(a)
		if !ok {
			return nil, h.NewError(a.ID(), `changed takes patterns in quotes, such as changed("src/**", "!**/*.md")`)
		}
		if !validPathPattern(p) {
			return nil, h.NewError(a.ID(), fmt.Sprintf("%q is not a pattern of paths in the repository", shorten(p, 40)))
		}
	}
	if len(args) == 0 {
		return nil, h.NewError(h.NewLiteral(types.False).ID(), "changed needs at least one pattern")
	}
	return h.NewCall(changedFunction, h.NewList(args...)), nil
}

func literalString(e ast.Expr) (string, bool) {
	if e.Kind() != ast.LiteralKind {
		return "", false
	}
	s, ok := e.AsLiteral().(types.String)
	return string(s), ok
}

// newPredicate parses and checks a condition.
func newPredicate(text string) *predicate {
	p := &predicate{}
	env, err := conditions()
	if err != nil {
		return p.fail(err)
	}
	if strings.TrimSpace(text) == "" {
		return p.fail(errors.New("the condition is empty"))
	}
	if len(text) > maxCondition {
		return p.fail(fmt.Errorf("the condition is longer than %d KiB", maxCondition>>10))
	}
	checked, issues := env.Compile(text)
	for _, e := range issues.Errors() {
		p.mistakes = append(p.mistakes, mistakeOf(e, text))
	}
	if len(p.mistakes) > 0 {
		return p
	}
	if checked.OutputType() != cel.BoolType {
		return p.fail(fmt.Errorf("a condition is true or false, this is of type %s", checked.OutputType()))
	}
	p.findUses(checked.NativeRep())
	p.program, err = env.Program(checked, cel.CostLimit(maxCost))
	if err != nil {
		return p.fail(err)
	}
	return p
}

// fail is for what is wrong with the whole text.
func (p *predicate) fail(err error) *predicate {
	p.mistakes = append(p.mistakes, mistake{line: 1, message: err.Error()})
	return p
}

// findUses notes the parameters that the expression asks for. It must do so by
// their names, so that an unknown one is found before anything is built.
func (p *predicate) findUses(tree *ast.AST) {
	isParameters := func(e ast.NavigableExpr) bool { return e.Kind() == ast.IdentKind && e.AsIdent() == "parameters" }
	for _, e := range ast.MatchDescendants(ast.NavigateAST(tree), isParameters) {
		at := tree.SourceInfo().GetStartLocation(e.ID())
		name, ok := fieldOf(e)
		if !ok {
			p.mistakes = append(p.mistakes, mistake{
				line: at.Line(), column: at.Column(), message: "parameters are asked for one by one",
				hint: `write parameters.name or parameters["na-me"]`,
			})
			continue
		}
		p.uses = append(p.uses, parameterUse{name: name, line: at.Line(), column: at.Column()})
	}
}

// fieldOf is the name that stands behind the map e.
func fieldOf(e ast.NavigableExpr) (string, bool) {
	parent, ok := e.Parent()
	switch {
	case !ok:
		return "", false
	case parent.Kind() == ast.SelectKind:
		return parent.AsSelect().FieldName(), true
	case parent.Kind() == ast.CallKind && parent.AsCall().FunctionName() == operators.Index:
		return literalString(parent.AsCall().Args()[1])
	}
	return "", false
}

var (
	dotted     = regexp.MustCompile(`^[A-Za-z_][A-Za-z_0-9.]*`)
	undeclared = regexp.MustCompile(`^undeclared reference to '([^']*)'`)
)

// mistakeOf says in our words what CEL found.
func mistakeOf(e *celcommon.Error, text string) mistake {
	line, column := e.Location.Line(), max(e.Location.Column(), 0)
	message, _, _ := strings.Cut(e.Message, "\n")
	if name := undeclared.FindStringSubmatch(message); name != nil {
		whole, begins := valueAt(text, line, column)
		m := unknownValue(name[1], whole)
		m.line, m.column = line, begins
		return m
	}
	message, _, _ = strings.Cut(strings.TrimPrefix(message, "Syntax error: "), " expecting {")
	return mistake{line: line, column: column, message: fmt.Sprintf("not a condition: %s", shorten(message, 120))}
}

// valueAt is the dotted name at a place of the text, and the column where it begins:
// CEL may point at one of its dots.
func valueAt(text string, line, column int) (name string, begins int) {
	lines := strings.Split(text, "\n")
	if line < 1 || line > len(lines) {
		return "", column
	}
	runes := []rune(lines[line-1])
	begins = min(column, len(runes))
	for begins > 0 && (runes[begins-1] == '.' || runes[begins-1] < 0x80 && isWordByte(byte(runes[begins-1]))) {
		begins--
	}
	return dotted.FindString(string(runes[begins:])), begins
}

// unknownValue explains a name that conditions do not know.
func unknownValue(word, whole string) mistake {
	if b, ok := lookupBuiltIn(whole); ok && !b.git {
		return mistake{message: fmt.Sprintf("a condition may not use %s, which is known only when a build begins", whole)}
	}
	if strings.HasPrefix(whole, word) {
		word = strings.TrimSuffix(whole, ".")
	}
	m := mistake{message: fmt.Sprintf("a condition knows nothing called %q", shorten(word, 40))}
	m.hint = `there are git.branch and its like, build.event, build.ref, build.branch, build.tag, build.target, build.pipeline, build.trusted, parameters.name and changed("pattern")`
	if n := nearest(word, append(conditionNames(), trustedName, "parameters", changedFunction)); n != "" {
		m.hint = "did you mean " + n + "?"
	}
	return m
}
