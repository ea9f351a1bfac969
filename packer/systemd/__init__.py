"""systemd: what its tools would have made of a root's configuration, as entries; whichever store the root is from."""
