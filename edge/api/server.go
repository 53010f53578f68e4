package api

import (
	"context"
	"fmt"
	"time"

	"github.com/godwit-im/godwit/wire"
)

// Server is what GET /v1/server tells.
type Server struct {
	Name       string       `json:"name" example:"godwit"`
	Version    string       `json:"version"`
	DevSignIn  bool         `json:"dev_sign_in" doc:"POST /v1/dev/token gives anybody a token"`
	Limits     ServerLimits `json:"limits"`
	HeartbeatS int          `json:"heartbeat_s" doc:"ping this often"`
}

// ServerLimits are those of the welcome frame.
type ServerLimits struct {
	Content  uint32 `json:"content_bytes" doc:"the longest content"`
	Frame    uint32 `json:"frame_bytes" doc:"the longest frame"`
	InFlight uint32 `json:"sends_in_flight" doc:"sends without an ack_sent"`
}

type serverOutput struct{ Body Server }

func (a *api) server(context.Context, *struct{}) (*serverOutput, error) {
	l := a.cfg.Limits
	return &serverOutput{Body: Server{
		Name:       "godwit",
		Version:    a.cfg.Version,
		DevSignIn:  a.cfg.DevToken != nil,
		Limits:     ServerLimits{Content: l.Content, Frame: l.Frame, InFlight: l.InFlight},
		HeartbeatS: int(a.cfg.Heartbeat / time.Second),
	}}, nil
}

type devTokenInput struct {
	Body struct {
		User   string `json:"user" minLength:"1" maxLength:"64" doc:"any name" example:"alice"`
		Device string `json:"device,omitempty" maxLength:"64" doc:"names the device" example:"phone"`
	}
}

type devTokenOutput struct {
	Body struct {
		Token     string    `json:"token"`
		UserID    string    `json:"user_id"`
		ExpiresAt time.Time `json:"expires_at"`
	}
}

func (a *api) devToken(_ context.Context, in *devTokenInput) (*devTokenOutput, error) {
	user, device := in.Body.User, in.Body.Device
	if !wire.ValidID(user) || device != "" && !wire.ValidID(device) {
		return nil, NewProblem(wire.CodeBadRequest, "give a user and a device of 1 to 64 bytes of UTF-8 without control characters").About(fmt.Sprintf("user is %.70q, device is %.70q", user, device))
	}
	token, expires, err := a.cfg.DevToken(wire.UserID(user), wire.DeviceID(device))
	if err != nil {
		return nil, problemOf(err)
	}
	out := &devTokenOutput{}
	out.Body.Token, out.Body.UserID, out.Body.ExpiresAt = token, user, expires.UTC()
	return out, nil
}
