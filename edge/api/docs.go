package api

import (
	"html/template"
	"net/http"
	"sort"

	"github.com/danielgtaylor/huma/v2"
)

// docsPage lists what the OpenAPI document says. It loads nothing.
const docsPage = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{{.Title}} {{.Version}}: REST</title>
</head><body><main>
<h1>{{.Title}} {{.Version}}: REST</h1>
<p>{{.Text}}</p>
<p>The machine-readable form is <a href="/openapi.json">/openapi.json</a> (OpenAPI 3.1).
Errors are <code>application/problem+json</code> (RFC 9457) with the number of the error in <code>code</code>.</p>
{{range .Ops}}<h2><code>{{.Method}} {{.Path}}</code></h2>
<p>{{.Summary}}{{if .Token}}. Needs <code>Authorization: Bearer</code>{{end}}.</p>
{{if .Params}}<table><thead><tr><th scope="col">parameter</th><th scope="col">in</th><th scope="col">meaning</th></tr></thead><tbody>
{{range .Params}}<tr><td><code>{{.Name}}</code></td><td>{{.In}}</td><td>{{.Description}}</td></tr>
{{end}}</tbody></table>
{{end}}{{end}}</main></body></html>
`

type docsOp struct {
	Method, Path, Summary string
	Token                 bool
	Params                []*huma.Param
}

// docs serves the page, made from what spec holds when it is asked for.
func docs(spec *huma.OpenAPI) http.Handler {
	page := template.Must(template.New("docs").Parse(docsPage))
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		data := struct {
			Title, Version, Text string
			Ops                  []docsOp
		}{spec.Info.Title, spec.Info.Version, spec.Info.Description, nil}
		for path, item := range spec.Paths {
			for _, o := range []*huma.Operation{item.Get, item.Post} {
				if o != nil {
					data.Ops = append(data.Ops, docsOp{o.Method, path, o.Summary, o.Security != nil, o.Parameters})
				}
			}
		}
		sort.Slice(data.Ops, func(i, j int) bool { return data.Ops[i].Path < data.Ops[j].Path })
		h := w.Header()
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		_ = page.Execute(w, data)
	})
}
