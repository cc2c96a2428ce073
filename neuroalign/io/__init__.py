"""The only room that writes files: atomic writes, digests, labelled arrays on disk, dataset manifests."""

from .digests import content_digest, file_digest, plain_text
from .files import (
    json_bytes,
    make_folder,
    read_json,
    read_table,
    read_text,
    remove_leftovers,
    write_bytes,
    write_files,
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
    "json_bytes",
    "layer_attrs",
    "layer_names",
    "layer_writer",
    "layers_digest",
    "load",
    "make_folder",
    "map_table",
    "nifti_image",
    "plain_text",
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
    "write_files",
    "write_json",
    "write_table",
    "write_text",
    "writing",
]
