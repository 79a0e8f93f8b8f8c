"""The API server that a manifest describes: its flags, and what becomes of it when it starts."""
