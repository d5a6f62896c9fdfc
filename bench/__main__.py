"""`make bench`: every measurement, each as a ratio against what a user would pick instead."""

from __future__ import annotations

import sys

from bench import engine

engine.main(*(int(word) for word in sys.argv[1:3]))
