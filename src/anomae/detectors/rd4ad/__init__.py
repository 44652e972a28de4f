"""RD4AD, reverse distillation."""
