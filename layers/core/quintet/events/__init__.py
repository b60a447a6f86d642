"""The event log: told in the transaction of the change itself, numbered per topic, read from any number on."""
