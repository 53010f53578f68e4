package api

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/godwit-im/godwit/wire"
)

// knownQuery refuses parameters that the operation does not have, and those that
// are given twice: a misspelt limit would otherwise answer with a page that
// nobody asked for.
func knownQuery(h huma.API) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		u := ctx.URL()
		if p := judgeQuery(u.RawQuery, ctx.Operation()); p != nil {
			writeProblem(h, ctx, p)
			return
		}
		next(ctx)
	}
}

// judgeQuery returns what is wrong with a query, nil for nothing.
func judgeQuery(raw string, op *huma.Operation) *Problem {
	given, err := url.ParseQuery(raw)
	if err != nil {
		return NewProblem(wire.CodeBadRequest, "write it as name=value&name=value, with %XX for other bytes").About("the query cannot be read")
	}
	var known []string
	for _, p := range op.Parameters {
		if p.In == "query" {
			known = append(known, p.Name)
		}
	}
	var unknown, twice []string
	for name, values := range given {
		if len(values) > 1 {
			twice = append(twice, name)
		}
		if !slices.Contains(known, name) {
			unknown = append(unknown, name)
		}
	}
	if len(unknown) == 0 && len(twice) == 0 {
		return nil
	}
	if len(unknown) == 0 {
		return NewProblem(wire.CodeBadRequest, "give each parameter once").About(fmt.Sprintf("%.64q is given %d times", slices.Min(twice), len(given[slices.Min(twice)])))
	}
	advice := "this address takes no query parameters"
	if len(known) > 0 {
		advice = "this address knows: " + strings.Join(known, ", ")
	}
	return NewProblem(wire.CodeBadRequest, advice).About(fmt.Sprintf("there is no query parameter %.64q", slices.Min(unknown)))
}
