"""Reading artefacts, ours and other people's: what they hold, without unpacking them.

    path --open--> StoredArtefact: layers and documents where they are stored
    StoredLayer --listing--> Listing: its nodes, contents hashed while they stream past, and both of its digests
    Listing, Listing, … --merge--> MergedTree: what a runtime would see, as metadata only

    disk --container, partition--> volumes --filesystem--> nodes --mounts--> MergedTree: what the system on it would see

Artefacts are known by what is in them, not by their names. All of it is hostile until it is checked: documents are
small, digests are compared, paths stay inside, memory and the factor of decompression are bounded.
"""
