"""CrossGuard policies over the resources of a fleet."""

from loopback_iac.policies.pack import NAME, policies, start_pack

__all__ = ["NAME", "policies", "start_pack"]
