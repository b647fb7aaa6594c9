"""What a role answers over HTTP: `/live`, `/metrics`, `/health`."""
