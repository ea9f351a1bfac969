"""Registries (OCI distribution-spec 1.1): what is known of images' names, of credentials, and of how both are used.

reference       what people call an image
credentials     where people keep their passwords
authorization   challenges, and the tokens that answer them
transport       requests: the only module that knows oras and requests
repository      blobs and manifests of one repository
stored_image    an image that was built before, and was stored
joint_image     several of them, under one index
push            an image: blobs side by side, its tag last
referrers       what is attached to an image
"""
