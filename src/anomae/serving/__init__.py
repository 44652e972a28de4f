"""The service: studies come in over HTTP, wait in a queue, are scored in a process of their own, and are shown."""
