"""What `make build` makes, as Lambda would run it. `make test-artefacts` asks for these; they take a minute."""
