"""Door to the stand-in for pulumi-kubernetes."""
