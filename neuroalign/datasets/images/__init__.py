"""Images as people have them: NIfTI, GIfTI and CIFTI files as labelled arrays."""
