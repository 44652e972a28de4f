"""The stages of a run, one function each: what the command line calls, callable from Python too."""
