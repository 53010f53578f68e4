package sim

// plant is a fault put into the model's driver, so that tests can see the
// checkers find it. No product code knows of it.
type plant uint8

const (
	sound           plant = iota
	ackBeforeSync         // replicas answer before their disk has an entry
	outboxLost            // a new leader does not look through the outbox
	dedupeForgotten       // a new leader's entries find no dedupe rows
	staleReads            // reads are answered by whoever is asked, without a quorum
	cursorBack            // a device is welcomed behind what it said it has
	cursorAhead           // a device is welcomed at the head, whatever it has
	unguarded             // what comes is pushed, whatever was pushed before
	doneEarly             // the outbox is cleared when one shard has answered
	receiptBack           // a read tells less of receipts than was recorded
	openEarly             // a session is opened before the bumps in front of it are applied
	resyncEarly           // a session is told to sync before the bump that it lacks is applied
	trimBeforeSync        // the log is cut before the store is synced
)
