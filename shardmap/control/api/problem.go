package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/godwit-im/godwit/internal/fault"
)

// Problem is an error as RFC 9457 writes it, with its number in godwit's
// table (E33xx).
type Problem struct {
	Title     string     `json:"title"` // what is wrong, the same for every error of this number
	Status    int        `json:"status"`
	Code      fault.Code `json:"code"`
	Name      string     `json:"name"`
	Detail    string     `json:"detail,omitempty"` // what is wrong with this call
	Advice    string     `json:"advice"`           // what to do about it
	Retryable bool       `json:"retryable,omitempty"`
	Leader    string     `json:"leader,omitempty"` // with 421: the API address of the member that leads
}

// ProblemContent is the media type of a Problem.
const ProblemContent = "application/problem+json"

// status is how an error travels. Those that pass by themselves are retryable.
type status struct {
	code  fault.Code
	http  int
	retry bool
}

var statuses = [...]status{
	{fault.JoinSecret, http.StatusUnauthorized, false},
	{fault.ClockOff, http.StatusConflict, false},
	{fault.NameTaken, http.StatusConflict, false},
	{fault.AddressInUse, http.StatusConflict, false},
	{fault.TwoInstances, http.StatusConflict, false},
	{fault.UnknownNode, http.StatusNotFound, false},
	{fault.BreaksMajority, http.StatusConflict, false},
	{fault.TooFewNodes, http.StatusConflict, false},
	{fault.VersionGap, http.StatusConflict, false},
	{fault.OldMap, http.StatusConflict, false},
	{fault.NotControlLeader, http.StatusMisdirectedRequest, true},
	{fault.NoControlLeader, http.StatusServiceUnavailable, true},
	{fault.TooManyWaiting, http.StatusServiceUnavailable, true},
	{fault.BadControlCall, http.StatusBadRequest, false},
	{fault.OtherCluster, http.StatusConflict, false},
	{fault.NodeHolds, http.StatusConflict, false},
	{fault.PlanState, http.StatusConflict, false},
	{fault.ControlBroken, http.StatusServiceUnavailable, true},
	{fault.ControlInternal, http.StatusInternalServerError, false},
	{fault.IdentityTaken, http.StatusConflict, false},
	{fault.NodeLeft, http.StatusConflict, false},
}

// ProblemOf returns err as a Problem: itself, a *fault.Error by the table, and
// everything else as fault.ControlInternal with err as its detail.
func ProblemOf(err error) *Problem {
	var p *Problem
	if errors.As(err, &p) {
		return p
	}
	var e *fault.Error
	if !errors.As(err, &e) {
		e = fault.New(fault.ControlInternal, "%w", err)
	}
	spec := e.Code.Spec()
	p = &Problem{Title: spec.Text, Status: http.StatusInternalServerError, Code: spec.Code, Name: spec.Name, Detail: e.Detail, Advice: spec.Do}
	if e.Do != "" {
		p.Advice = e.Do
	}
	for _, s := range statuses {
		if s.code == e.Code {
			p.Status, p.Retryable = s.http, s.retry
		}
	}
	return p
}

// Again returns p as one that passes by itself.
func (p *Problem) Again() *Problem {
	p.Retryable = true
	return p
}

// Error returns "E3303: what is wrong: with this call; what to do".
func (p *Problem) Error() string {
	text := p.Title
	if p.Detail != "" {
		text += ": " + p.Detail
	}
	return fmt.Sprintf("E%d: %s; %s", p.Code, text, p.Advice)
}

// Unwrap returns the numbered error, so that errors.Is finds the code and
// fault.Exit the exit code. A number that this version does not know becomes
// fault.Unexpected.
func (p *Problem) Unwrap() error {
	if p.Code.Spec() == nil {
		return &fault.Error{Code: fault.Unexpected, Detail: p.Error()}
	}
	return &fault.Error{Code: p.Code, Detail: p.Detail, Do: p.Advice}
}

// Write answers with p.
func (p *Problem) Write(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Type", ProblemContent)
	h.Set("Cache-Control", "no-store")
	if p.Status == http.StatusServiceUnavailable {
		h.Set("Retry-After", "1")
	}
	w.WriteHeader(p.Status)
	// A caller that is gone does not want the error either.
	_ = json.NewEncoder(w).Encode(p)
}

// Passes reports whether err is a refusal that passes by itself, so that the
// same call may succeed later.
func Passes(err error) bool {
	var p *Problem
	return errors.As(err, &p) && p.Retryable
}
