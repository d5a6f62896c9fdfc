"""The policy pack: its constructor never returns, so the rules live in the library."""

from loopback_iac.policies import start_pack

start_pack()
