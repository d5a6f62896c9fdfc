"""Stand-in for IONOS Cloud, as terraform-provider-ionoscloud 6.7 and its API behave."""
