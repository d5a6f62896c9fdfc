"""Door to the stand-in for pulumi-cloudflare."""
