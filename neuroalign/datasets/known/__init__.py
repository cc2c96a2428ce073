"""The data sets of the manifest, a module each."""
