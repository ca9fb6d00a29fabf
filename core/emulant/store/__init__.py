"""Files: atomic, hashed, the same bytes for the same content, with their provenance inside."""

from emulant.store.arrays import StoredArrays, load_arrays, save_arrays
from emulant.store.atomic import atomic_path, new_directory, new_file
from emulant.store.describe import describe
from emulant.store.hashing import hash_arrays, hash_file, hash_json
from emulant.store.parts import Parts, each_part, hash_parts, is_parts
from emulant.store.provenance import Provenance, current, plain
from emulant.store.tensors import Stored, load_tensors, save_tensors
from emulant.store.text import read_json, read_text, write_json, write_text
from emulant.store.weights import load_weights, sizes_of

__all__ = [
    "Parts",
    "Provenance",
    "Stored",
    "StoredArrays",
    "atomic_path",
    "current",
    "describe",
    "each_part",
    "hash_arrays",
    "hash_file",
    "hash_json",
    "hash_parts",
    "is_parts",
    "load_arrays",
    "load_tensors",
    "load_weights",
    "new_directory",
    "new_file",
    "plain",
    "read_json",
    "read_text",
    "save_arrays",
    "save_tensors",
    "sizes_of",
    "write_json",
    "write_text",
]
