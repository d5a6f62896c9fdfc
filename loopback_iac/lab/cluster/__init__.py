"""The lab's Kubernetes: real programs, built from their modules, started without containers."""
