"""`ocipack sign`, `ocipack verify`: signatures, and every digest."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import click

from packer.commands.registries import access
from packer.options import registry_options, sign_options, verify_options
from packer.surroundings import Surroundings

_HASHERS = 2  # of a blob, and of its tar


@click.command()
@click.argument("subjects", nargs=-1, required=True, metavar="ARTEFACT|REFERENCE...")
@sign_options
@registry_options
@click.pass_obj
def sign(surroundings: Surroundings, /, subjects: tuple[str, ...], **options: Any) -> None:
    """Sign artefacts, or images in registries, with an OpenPGP key."""
    from importlib.metadata import version

    from packer import sign as signing
    from packer.subject import Subject

    places = signing.Places(options["identity"], options["lookaside"], options["attach"], not options["binary"])
    work = signing.plan([Subject.parse(text, surroundings.folder()) for text in subjects], places)
    signer = signing.open_signer(
        options["key"], options["gnupg_home"], options["passphrase_file"], surroundings.variables
    )
    signature = signing.Signature(signer, f"ocipack {version('ocipack')}", surroundings.epoch)
    for written in signing.sign(work, places, signature, lambda: access(options, surroundings)):
        click.echo(written)


@click.command()
@click.argument("subjects", nargs=-1, required=True, metavar="ARTEFACT|REFERENCE...")
@verify_options
@registry_options
@click.pass_obj
def verify(surroundings: Surroundings, /, subjects: tuple[str, ...], as_json: bool, **options: Any) -> int:
    """Compare all digests of artefacts or images, and check who has signed them; 0: all is well, 1: it is not."""
    from packer import report
    from packer import verify as verification
    from packer.signing import policy
    from packer.subject import Subject

    found = [Subject.parse(text, surroundings.folder()) for text in subjects]
    trust = policy.trust(options["policy"], options["key"], options["identity"], options["lookaside"])
    with ThreadPoolExecutor(_HASHERS) as executor:
        judge = verification.Judge(trust, executor, surroundings.environment, lambda: access(options, surroundings))
        verdicts = [judge.verdict(subject) for subject in found]
    click.echo(report.verdicts_json(verdicts) if as_json else report.verdicts_text(verdicts))
    return int(any(verdict.faults for verdict in verdicts))
