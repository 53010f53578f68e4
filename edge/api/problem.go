package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/godwit-im/godwit/wire"
)

// Problem is an error as RFC 9457 writes it, with godwit's number.
type Problem struct {
	Title     string              `json:"title" doc:"what is wrong, the same for every error of this number" example:"you are not a member of this conversation"`
	Status    int                 `json:"status" doc:"the HTTP status" example:"403"`
	Code      wire.Code           `json:"code" doc:"the number of the error; godwit explain says more" example:"1203"`
	Name      string              `json:"name" doc:"the name of the error" example:"not_member"`
	Detail    string              `json:"detail,omitempty" doc:"what is wrong with this request, when there is more to say"`
	Advice    string              `json:"advice" doc:"what to do about it" example:"ask a member to add you"`
	Retryable bool                `json:"retryable,omitempty" doc:"the same request may succeed later"`
	Errors    []*huma.ErrorDetail `json:"errors,omitempty" doc:"which parts of the request are wrong"`
}

const problemContent = "application/problem+json"

var (
	problemType = reflect.TypeFor[Problem]()

	_ huma.StatusError       = (*Problem)(nil)
	_ huma.ContentTypeFilter = (*Problem)(nil)
)

// NewProblem returns the problem of code, with advice in place of the table's
// when it is not empty.
func NewProblem(code wire.Code, advice string) *Problem {
	spec := code.SpecOf()
	if spec == nil {
		spec = wire.CodeInternal.SpecOf()
	}
	p := &Problem{Title: spec.Text, Status: spec.HTTP, Code: spec.Code, Name: spec.Name, Advice: spec.Do, Retryable: spec.Retryable}
	if advice != "" {
		p.Advice = advice
	}
	return p
}

// About returns p with a detail: what is wrong with this request.
func (p *Problem) About(detail string) *Problem {
	p.Detail = detail
	return p
}

// Error returns "E1208: what is wrong: with this request; what to do".
func (p *Problem) Error() string {
	text := "E" + strconv.Itoa(int(p.Code)) + ": " + p.Title
	if p.Detail != "" {
		text += ": " + p.Detail
	}
	return text + "; " + p.Advice
}

// GetStatus implements huma.StatusError.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType implements huma.ContentTypeFilter.
func (p *Problem) ContentType(string) string { return problemContent }

// Write answers a request that did not reach huma with the problem.
func (p *Problem) Write(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Type", problemContent)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if p.Retryable {
		h.Set("Retry-After", retryAfterS)
	}
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p)
}

// retryAfterS is how long a client should leave a busy server alone.
const retryAfterS = "2"

// problemOf turns an error from a Caller or a verifier into a problem.
func problemOf(err error) error {
	var code wire.Code
	switch {
	case errors.As(err, &code):
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		code = wire.CodeUnavailable
	default:
		code = wire.CodeInternal
	}
	advice := ""
	if code == wire.CodeUnauthenticated {
		advice = "send the header Authorization: Bearer with a token"
	}
	p := NewProblem(code, advice)
	if !p.Retryable {
		return p
	}
	return huma.ErrorWithHeaders(p, http.Header{"Retry-After": {retryAfterS}})
}

// toProblem gives the errors that huma itself makes a number, and the answer
// the status that the table has for it.
func toProblem(ctx huma.Context, _ string, v any) (any, error) {
	e, ok := v.(*huma.ErrorModel)
	if !ok {
		return v, nil
	}
	code, advice := wire.CodeBadRequest, ""
	switch {
	case e.Status == http.StatusRequestEntityTooLarge:
		code, advice = wire.CodeContentTooBig, "send a body of fewer than "+strconv.Itoa(maxBody)+" bytes"
	case e.Status >= http.StatusInternalServerError:
		code = wire.CodeInternal
	}
	p := NewProblem(code, advice).About(detailOf(e))
	p.Errors = e.Errors
	if c, ok := ctx.(*problemContext); ok {
		c.status = p.Status
	}
	return p, nil
}

// detailOf says what is wrong: the first of the errors with its place, because
// huma's own detail only counts on them.
func detailOf(e *huma.ErrorModel) string {
	if len(e.Errors) == 0 || e.Errors[0].Location == "" {
		return e.Detail
	}
	return e.Errors[0].Location + ": " + e.Errors[0].Message
}

// problemContext lets toProblem overrule the status that huma chose, which
// calls SetStatus behind it.
type problemContext struct {
	humaContext
	status int // 0: huma's
}

// humaContext is huma.Context under a name that its method Context leaves free.
type humaContext huma.Context

// SetStatus implements huma.Context.
func (c *problemContext) SetStatus(status int) {
	if c.status != 0 {
		status = c.status
	}
	c.humaContext.SetStatus(status)
}

// tableStatus is the innermost middleware: huma must call this context and no
// wrapper of it.
func tableStatus(ctx huma.Context, next func(huma.Context)) { next(&problemContext{humaContext: ctx}) }

// elsewhere answers what no operation has taken: 405 with the methods of the
// path when it is only the method that is wrong, else 404.
func elsewhere(doc *huma.OpenAPI) http.HandlerFunc {
	paths := http.NewServeMux()
	for path, item := range doc.Paths {
		allow := allowed(item)
		paths.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Allow", allow)
			NewProblem(wire.CodeWrongMethod, "use "+allow).Write(w)
		})
	}
	paths.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { NewProblem(wire.CodeUnknownResource, "").Write(w) })
	return paths.ServeHTTP
}

// allowed lists the methods of a path as the header Allow does.
func allowed(item *huma.PathItem) string {
	var methods []string
	if item.Get != nil {
		methods = append(methods, http.MethodGet, http.MethodHead)
	}
	if item.Post != nil {
		methods = append(methods, http.MethodPost)
	}
	return strings.Join(methods, ", ")
}

// userKey is where authenticate leaves the user in a request's context.
type userKey struct{}

// userOf returns who asks.
func userOf(ctx context.Context) wire.UserID {
	u, _ := ctx.Value(userKey{}).(wire.UserID)
	return u
}

// authenticate checks the bearer token of operations that need one, and keeps
// answers out of caches.
func (a *api) authenticate(h huma.API) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		ctx.SetHeader("Cache-Control", "no-store")
		if ctx.Operation().Security == nil {
			next(ctx)
			return
		}
		user, err := a.user(ctx.Context(), ctx.Header("Authorization"))
		if err != nil {
			writeProblem(h, ctx, err)
			return
		}
		next(huma.WithValue(ctx, userKey{}, user))
	}
}

// user returns whose token an Authorization header carries.
func (a *api) user(ctx context.Context, header string) (wire.UserID, error) {
	token, ok := BearerToken(header)
	if !ok {
		return "", wire.CodeUnauthenticated
	}
	if len(token) > wire.MaxToken {
		return "", wire.CodeTokenTooLong
	}
	return a.cfg.Verify(ctx, token)
}

// BearerToken returns the token of an Authorization header.
func BearerToken(header string) (string, bool) {
	scheme, token, ok := strings.Cut(header, " ")
	token = strings.TrimSpace(token)
	return token, ok && strings.EqualFold(scheme, "bearer") && token != ""
}

func writeProblem(h huma.API, ctx huma.Context, err error) {
	var p *Problem
	if !errors.As(err, &p) && !errors.As(problemOf(err), &p) {
		p = NewProblem(wire.CodeInternal, "")
	}
	ctx.SetHeader("Content-Type", problemContent)
	if p.Status == http.StatusUnauthorized {
		ctx.SetHeader("WWW-Authenticate", "Bearer")
	}
	ctx.SetStatus(p.Status)
	_ = h.Marshal(ctx.BodyWriter(), "application/json", p)
}
