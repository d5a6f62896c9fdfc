"""What a fleet survives, proved over what its stack declares, with a certificate to re-check."""

from loopback_iac.proof.causes import KINDS, Cause, Standing
from loopback_iac.proof.demands import Demands, parse_demands, parse_demands_tree
from loopback_iac.proof.prove import Proof, Verdict, prove_redundancy
from loopback_iac.proof.stack import EDGE, HOSTS, PLANNED, Stack, read_stack

__all__ = [
    "EDGE",
    "HOSTS",
    "KINDS",
    "PLANNED",
    "Cause",
    "Demands",
    "Proof",
    "Stack",
    "Standing",
    "Verdict",
    "parse_demands",
    "parse_demands_tree",
    "prove_redundancy",
    "read_stack",
]
