"""Functions that tests run as Lambda would."""
