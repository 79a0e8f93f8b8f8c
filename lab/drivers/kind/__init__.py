"""kind: nodes that are containers, made by the `kind` that a person has installed."""
