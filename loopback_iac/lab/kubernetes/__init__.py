"""Stand-in for the provider plugin of pulumi-kubernetes, over the official Python client."""
