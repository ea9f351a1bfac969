"""Signatures by OpenPGP keys: of images, as podman and skopeo check them, and of files.

gpg             GnuPG: the only module that knows python-gnupg
simple_signing  what a signature of an image says
lookaside       the folder from which podman and skopeo take signatures
referrer        the same signatures in the registry, beside the image
sums            SHA256SUMS and detached signatures of files
policy          who is to have signed, and as what
"""
