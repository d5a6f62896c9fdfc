"""Serves pulumi-command without a host."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from answers import Commands

from loopback_iac.lab.standin.serving import serve

serve(Commands)
