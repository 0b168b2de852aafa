"""Scenario files: text in, a checked and compiled service out."""
