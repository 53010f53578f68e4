package fleet

// Apply carries out c, or refuses it with one of the errors of this package and
// leaves s as it was. It depends on nothing but s and c.
func Apply(s *State, c Command) (Answer, error) { return Answer{}, ErrCommand }
