"""Serves pulumi-ionoscloud without a cloud."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from answers import Cloud

from loopback_iac.lab.cloud.ionos.vendor import Ionos
from loopback_iac.lab.standin.serving import serve

serve(lambda _: Cloud(Ionos()))
