"""All settings of a run, by name, overridable from a file or the command line."""
