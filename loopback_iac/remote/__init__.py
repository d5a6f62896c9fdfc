"""Asking hosts, outside Pulumi: what they report, and how that differs from what was applied."""
