"""What an operator may change while the system runs: versioned, validated, in force within ten seconds."""
