"""Fitted detectors written as networks that other engines run, once they are seen to say the same."""
