"""Official clients that do not get on with our test runner's strictness: each is a process of its own."""
