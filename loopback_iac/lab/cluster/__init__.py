"""A real Kubernetes cluster in the lab."""
