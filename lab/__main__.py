"""`python -m lab` and the `cks-lab` command."""

from __future__ import annotations


def main() -> None:
    """Run the command line."""
    from .cli import main as cli

    cli()


if __name__ == "__main__":
    main()
