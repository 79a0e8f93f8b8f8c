"""The command that prints the shell's completion script."""

from __future__ import annotations

import click

from ..errors import EXIT_YES
from .talk import examples, out


@click.command(
    epilog=examples(
        'eval "$(cks-lab completion bash)"                                     for this shell',
        "cks-lab completion bash > ~/.local/share/bash-completion/completions/cks-lab",
        "cks-lab completion fish > ~/.config/fish/completions/cks-lab.fish",
    )
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> int:
    """Print the script that completes cks-lab in your shell."""
    from click.shell_completion import get_completion_class

    from .root import root

    kind = get_completion_class(shell)
    assert kind is not None
    out(kind(root, {}, "cks-lab", "_CKS_LAB_COMPLETE").source())
    return EXIT_YES
