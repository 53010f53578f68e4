package process

import (
	"context"
	"errors"
	"net"
	"syscall"

	"github.com/godwit-im/godwit/internal/fault"
	"github.com/godwit-im/godwit/shardmap/control"
)

// ListenFault names what keeps an address from being listened on.
func ListenFault(addr string, err error) error {
	var f *fault.Error
	var op *net.OpError
	switch {
	case errors.As(err, &f):
		return err
	case errors.Is(err, syscall.EADDRINUSE):
		return &fault.Error{Code: fault.PortTaken, Detail: addr, Err: err}
	case errors.As(err, &op):
		return fault.New(fault.BadAddress, "%s: %w", addr, op.Err)
	}
	return err
}

// Classify gives a number to the errors of the parts.
func Classify(err error) error {
	var f *fault.Error
	switch {
	case errors.As(err, &f):
		return err
	case errors.Is(err, control.ErrInUse):
		return fault.New(fault.DataInUse, "%w", err)
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EROFS):
		return fault.New(fault.DataNotWritable, "%w", err)
	}
	return fault.New(fault.StartFailed, "%w", err)
}

// DataFault is Classify for what a part says of its directory when it cannot
// open it and had the time to.
func DataFault(ctx context.Context, err error) error {
	var f *fault.Error
	if err = Classify(err); ctx.Err() == nil && errors.As(err, &f) && f.Code == fault.StartFailed {
		f.Code = fault.DataBroken
	}
	return err
}
