package chaos

func networkFaults() []Fault { return nil }
