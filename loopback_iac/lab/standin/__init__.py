"""What every stand-in provider plugin needs to be served."""
