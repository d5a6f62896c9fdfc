"""Stand-in clouds: what their API keeps, and what of it stands in the lab."""
