"""Your own anycast edge, multi-operator DNS and Kubernetes egress, as a Pulumi library."""
