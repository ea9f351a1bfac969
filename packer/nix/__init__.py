"""What Nix and Guix share: their hashes, their archives, their databases and where items come from."""
