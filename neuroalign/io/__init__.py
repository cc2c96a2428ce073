"""The only room that writes files: atomic writes, digests, labelled arrays on disk, dataset manifests."""

from .digests import content_digest, file_digest
from .files import (
    make_folder,
    read_json,
    read_table,
    read_text,
    remove_leftovers,
    write_bytes,
    write_json,
    write_table,
    write_text,
    writing,
)
from .images import map_table, nifti_image, read_nifti, save_gifti, save_map_table, save_nifti
from .labelled import load, save, stored_digest
from .layers import LayerWriter, layer_attrs, layer_names, layer_writer, layers_digest, read_layer
from .manifests import FileEntry, Manifest, SetEntry, read_manifest, verify_file
from .provenance import provenance

__all__ = [
    "FileEntry",
    "LayerWriter",
    "Manifest",
    "SetEntry",
    "content_digest",
    "file_digest",
    "layer_attrs",
    "layer_names",
    "layer_writer",
    "layers_digest",
    "load",
    "make_folder",
    "map_table",
    "nifti_image",
    "provenance",
    "read_json",
    "read_layer",
    "read_manifest",
    "read_nifti",
    "read_table",
    "read_text",
    "remove_leftovers",
    "save",
    "save_gifti",
    "save_map_table",
    "save_nifti",
    "stored_digest",
    "verify_file",
    "write_bytes",
    "write_json",
    "write_table",
    "write_text",
    "writing",
]
