"""Drills: break something on purpose while clients connect, and measure what they noticed."""
