// Package chaos breaks a fleet of real processes on purpose while users talk
// over it, and judges afterwards whether a promise was broken.
//
// A run is a list of trials. Each trial lets users write in pairs and groups
// over all edges (loadgen/swarm), injects one fault of the table Faults, heals
// it, waits until everything was answered and seen, and then asks: was what was
// acknowledged seen by every member, once, in order and unchanged; does history
// show the same; does every inbox end where its log ends; do replicas hold the
// same rows at the same index; how long did conversations wait.
//
// What it promises: everything it starts ends with it, also after a panic or
// kill -9 of the harness itself; every wait has a bound; what a trial does
// follows from the run's seed and the trial's number. Which process leads at
// that moment does not, and neither do the system's own races.
//
// Partitions, full disks and bad disks need root. Without it the other faults
// still run, and the table says what was left out and why.
package chaos
