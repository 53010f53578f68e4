// Command main runs the fault list of internal/chaos against a built program
// and prints a table of faults and checks: `make chaos`.
package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/godwit-im/godwit/internal/chaos"
)

func main() {
	if code, done := chaos.Privately(); done {
		os.Exit(code)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ok, err := run(ctx)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	if !ok || err != nil {
		os.Exit(1)
	}
}

func run(ctx context.Context) (bool, error) {
	cfg := chaos.Config{Say: func(line string) { fmt.Println(line) }}
	s := &cfg.Spec
	flag.StringVar(&s.Binary, "binary", "bin/godwit", "the program")
	flag.StringVar(&s.Dir, "dir", "", "where data and logs go, and stay; without it a temporary directory, which stays when something broke")
	flag.IntVar(&s.Controls, "controls", 3, "control members; 0: one process that is everything")
	flag.IntVar(&s.Cores, "cores", 3, "cores")
	flag.IntVar(&s.Edges, "edges", 2, "edges")
	flag.IntVar(&s.Shards, "shards", 8, "shards")
	flag.BoolVar(&s.Network, "network", true, "a network namespace for each process, where the machine allows it; needs root")
	flag.BoolVar(&s.Disks, "disks", true, "a file system for each process that keeps something, where the machine allows it; needs root")
	flag.Uint64Var(&cfg.Seed, "seed", 0, "repeats the schedule of an earlier run; 0: by chance")
	flag.DurationVar(&cfg.For, "for", 10*time.Minute, "how long new trials begin")
	flag.IntVar(&cfg.Most, "trials", 0, "how many trials at most; 0: any number")
	flag.Float64Var(&cfg.Rate, "rate", 300, "messages a second")
	flag.DurationVar(&cfg.Slow, "slow", 10*time.Second, "how long conversations may wait, at p99, while a majority is there and the fault says nothing stricter")
	only := flag.String("only", "", "words, separated by commas: faults that have one in their names")
	flag.Parse()
	if *only != "" {
		cfg.Only = strings.Split(*only, ",")
	}
	if cfg.Seed == 0 {
		cfg.Seed = uint64(rand.Uint32())
	}
	keep := s.Dir != ""
	if !keep {
		dir, err := os.MkdirTemp("", "godwit-chaos-")
		if err != nil {
			return false, err
		}
		s.Dir = dir
	}
	network, disks, why := chaos.Able(os.TempDir())
	for _, line := range why {
		fmt.Println(line)
	}
	s.Network, s.Disks = s.Network && network, s.Disks && disks
	rep, err := chaos.Run(ctx, cfg)
	fmt.Printf("\n%s", rep.Table())
	fine := rep.OK() && err == nil
	switch {
	case !fine:
		fmt.Printf("data and logs are in %s; the same schedule again: make chaos CHAOS_SEED=%d\n", s.Dir, rep.Seed)
	case !keep:
		err = os.RemoveAll(s.Dir)
	}
	return fine, err
}
